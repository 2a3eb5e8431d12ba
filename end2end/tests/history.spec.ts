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

test('however far one reads, 250 messages are on the screen, and the line that is read stays', async ({ visitor }) => {
  test.setTimeout(120_000);
  const ada = await (await visitor()).open();
  const all = Array.from({ length: 500 }, (_, index) => `line ${index}`);
  await sayMany(ada, all);
  await expect(ada.pending).toHaveCount(0, { timeout: 60_000 });
  await ada.reload();
  const [up, down] = await ada.page.evaluate(async () => {
    const pane = document.querySelector('.pane') as HTMLElement;
    const texts = () => [...document.querySelectorAll('.message-text')];
    const frame = () => new Promise(requestAnimationFrame);
    /** Reads on in steps until a line is there; how much the lines moved by themselves, and how many there were. */
    const read = async (step: number, last: string) => {
      let [moved, most] = [0, 0];
      const end = Date.now() + 40_000;
      while (!texts().some((text) => text.textContent === last) && Date.now() < end) {
        pane.scrollTop += step;
        const { top, bottom } = pane.getBoundingClientRect();
        const middle = (top + bottom) / 2;
        const seen = texts().find((text) => text.getBoundingClientRect().y > middle);
        await frame();
        const before = seen?.getBoundingClientRect().y ?? 0;
        for (let count = 0; count < 12; count++) await frame();
        if (seen?.isConnected) moved = Math.max(moved, Math.abs(seen.getBoundingClientRect().y - before));
        most = Math.max(most, texts().length);
      }
      return { moved, most, there: texts().some((text) => text.textContent === last) };
    };
    return [await read(-400, 'line 0'), await read(400, 'line 499')];
  });
  for (const way of [up, down]) {
    expect(way?.there).toBe(true);
    expect(way?.most).toBeLessThanOrEqual(250);
    expect(way?.moved).toBeLessThanOrEqual(1);
  }
  await ada.page.locator('.pane').evaluate((pane) => (pane.scrollTop = 0));
  await expect(ada.newest).toBeHidden();
  await ada.saySurely('the newest');
  expect((await ada.said()).slice(-3)).toEqual(['line 498', 'line 499', 'the newest']);
});

test('End and Home go all their way, past rows that are kept off and over rows that come', async ({ visitor }) => {
  test.setTimeout(120_000);
  const [ada, ben] = await Promise.all([(await visitor()).open(), (await visitor()).open()]);
  const all = Array.from({ length: 320 }, (_, index) => `line ${index}`);
  await sayMany(ada, all);
  await ben.seesLast('line 319');
  await ada.reload();
  await ada.readToTheBeginning();
  await expect(ada.texts.last()).not.toHaveText('line 319');
  const pane = ada.page.locator('.pane');
  const press = async (key: string, come: string) => {
    await ada.page.locator('.log').focus();
    await ada.page.keyboard.press(key);
    await ben.saySurely(come);
  };
  await press('End', 'one');
  await ada.seesLast('one');
  await expect.poll(() => pane.evaluate((pane) => pane.scrollTop)).toBe(0);
  await expect(ada.newest).toBeHidden();
  await press('Home', 'two');
  await expect.poll(() => pane.evaluate((pane) => pane.scrollTop < -2_000)).toBe(true);
  await expect(ada.newest).toBeVisible();
  await press('End', 'three');
  await ada.seesLast('three');
  await expect.poll(() => pane.evaluate((pane) => pane.scrollTop)).toBe(0);
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
    // So near to the beginning that older ones are asked for.
    if (pane !== null) pane.scrollTop = pane.clientHeight + 700 - pane.scrollHeight;
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
