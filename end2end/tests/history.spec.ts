// What was said is there for who scrolls up, and the line being read stays where it is.

import { FOR_SCRIPTS } from '../house';
import { sayMany } from '../pages/room';
import { expect, test } from '../world';

test.use({ settings: FOR_SCRIPTS });

const said = Array.from({ length: 200 }, (_, index) => `line ${index}`);

test('200 messages are there after a reload, in order, with their times', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await sayMany(ada, said);
  await expect(ada.pending).toHaveCount(0, { timeout: 30_000 });
  await ada.reload();
  await ada.readToTheBeginning();
  expect(await ada.said()).toEqual(said);
  const times = await ada.page.locator('.message-time').evaluateAll((all) => all.map((time) => time.getAttribute('datetime')));
  expect(times).toHaveLength(200);
  expect(times.every((time) => time !== null && !Number.isNaN(Date.parse(time)))).toBe(true);
});

test('reading upward after a live message loads the older ones, and moves nothing', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await sayMany(ada, said);
  await expect(ada.pending).toHaveCount(0, { timeout: 30_000 });
  const ben = await (await visitor()).open();
  await expect(ben.texts).toHaveCount(50);
  await ada.saySurely('a live one');
  await ben.seesLast('a live one');

  const [before, after] = await ben.page.evaluate(async () => {
    const pane = document.querySelector('.pane');
    const texts = () => [...document.querySelectorAll('.message-text')];
    const read = texts().find((text) => text.textContent === 'line 185');
    const height = () => read?.getBoundingClientRect().y ?? -1;
    if (pane !== null) pane.scrollTop = -300;
    const before = height();
    while (texts().length <= 51) await new Promise((done) => setTimeout(done, 10));
    for (let frame = 0; frame < 5; frame++) await new Promise(requestAnimationFrame);
    return [before, height()];
  });
  expect(Math.abs((after ?? 0) - (before ?? 1e9))).toBeLessThanOrEqual(1);
  await expect(ben.texts).toHaveCount(101);
  await expect(ben.page.getByText('The room begins here')).toHaveCount(0);

  await ada.saySurely('another');
  await expect(ben.texts).toHaveCount(102);
  const line = ben.page.getByText('line 185', { exact: true });
  expect(Math.abs(((await line.boundingBox())?.y ?? 0) - (after ?? 1e9))).toBeLessThanOrEqual(1);
  await ben.readToTheBeginning();
  expect(await ben.said()).toEqual([...said, 'a live one', 'another']);
});
