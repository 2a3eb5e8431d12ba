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

  const mark = ben.page.getByText('line 155', { exact: true });
  await mark.scrollIntoViewIfNeeded();
  const before = await mark.boundingBox();
  await expect.poll(() => ben.texts.count()).toBeGreaterThan(51);
  const after = await mark.boundingBox();
  expect(Math.abs((after?.y ?? 0) - (before?.y ?? 1e9))).toBeLessThanOrEqual(1);
  await expect(ben.page.getByText('The room begins here')).toBeHidden();
  await ben.readToTheBeginning();
  expect(await ben.said()).toEqual([...said, 'a live one']);
});
