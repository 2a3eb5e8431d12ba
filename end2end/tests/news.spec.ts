// What happens where one is not looking: in other rooms, and below the line that is being read.

import type { Locator } from '@playwright/test';

import { FOR_SCRIPTS } from '../house';
import { sayMany } from '../pages/room';
import { expect, test } from '../world';

test('what is said in another room is counted in the list until it is read there', async ({ visitor }) => {
  const [ada, ben] = await Promise.all([(await visitor()).open(), (await visitor()).open()]);
  await ada.join('harbour');
  await ben.join('harbour');
  await ada.saySurely('so that it is known');
  await ada.rooms.first().click();
  await expect(ada.page).toHaveURL(`${ada.url}/`);
  await ben.saySurely('one');
  await ben.saySurely('two');
  const harbour = ada.rooms.nth(1);
  await expect(harbour).toContainText('2 new');
  await ada.reload();
  await expect(harbour).toContainText('2 new');

  await harbour.click();
  await ada.seesLast('two');
  await expect(harbour).not.toContainText('new');
  const begins = ada.page.locator('li', { has: ada.page.locator('.new-line') });
  await expect(begins.locator('.message-text')).toHaveText('one');
  await ben.saySurely('three');
  await ada.seesLast('three');
  await expect(begins.locator('.message-text')).toHaveText('one');
  await ada.rooms.first().click();
  await harbour.click();
  await expect(begins).toHaveCount(0);
  await ada.rooms.first().click();
  await ada.reload();
  await expect(ada.rooms.nth(1)).not.toContainText('new');
});

test('on a phone the way back says that something is new elsewhere', async ({ visitor }) => {
  const ada = await (await visitor({ viewport: { width: 360, height: 740 } })).open('/r/harbour');
  const ben = await (await visitor()).open();
  await ada.join('harbour');
  await ada.saySurely('here');
  const back = ada.page.locator('.header-back');
  await expect(back).toHaveAccessibleName('Rooms');
  await ben.saySurely('in the lobby');
  await expect(back).toHaveAccessibleName('Rooms. 1 new');
  await expect(back).toHaveClass(/header-back-news/);
});

test('what one tab reads is read in the other', async ({ visitor }) => {
  const visiting = await visitor();
  const ben = await (await visitor()).open();
  const here = await visiting.open();
  await here.join('harbour');
  await here.saySurely('here');
  await ben.join('harbour');
  const there = await visiting.open();
  await here.rooms.first().click();
  await ben.saySurely('news');
  await expect(here.rooms.nth(1)).toContainText('1 new');
  await expect(there.rooms.nth(1)).toContainText('1 new');
  await here.rooms.nth(1).click();
  await expect(there.rooms.nth(1)).not.toContainText('new');
});

test('what comes while the page is hidden is counted in its title, and stands behind a line', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  const ben = await (await visitor({ locale: 'ar' })).open();
  await ada.saySurely('seen');
  await ben.seesLast('seen');
  await ben.hide(true);
  for (const text of ['one', 'two', 'three']) await ada.saySurely(text);
  await expect(ben.page).toHaveTitle('(٣) الردهة · WasmChannel');
  await ben.hide(false);
  await expect(ben.page).toHaveTitle('الردهة · WasmChannel');
  const begins = ben.page.locator('li', { has: ben.page.locator('.new-line') });
  await expect(begins.locator('.message-text')).toHaveText('one');
});

test.describe('with a long room', () => {
  test.use({ settings: FOR_SCRIPTS });

  test('a room with much that is new opens where that begins, a third from the top', async ({ visitor }) => {
    const [ada, ben] = await Promise.all([(await visitor()).open(), (await visitor()).open()]);
    await ada.join('harbour');
    await ben.join('harbour');
    await sayMany(ada, Array.from({ length: 45 }, (_, index) => `old ${index}`));
    await ben.seesLast('old 44');
    await ben.rooms.first().click();
    await sayMany(ada, Array.from({ length: 40 }, (_, index) => `new ${index}`));
    await expect(ben.rooms.nth(1)).toContainText('40 new');
    await ben.rooms.nth(1).click();
    const line = ben.page.locator('.new-line');
    await expect(line).toBeInViewport();
    const top = (await line.boundingBox())?.y ?? 0;
    expect(Math.abs(top - 800 / 3)).toBeLessThan(30);
    await expect(ben.newest).toHaveText('40 new');
    await ben.newest.click();
    await expect(ben.texts.last()).toBeInViewport();
    await expect(ben.rooms.nth(1)).not.toContainText('new');
  });

  test('a room that is loaded with more new than its page holds opens where that begins, and reads nothing', async ({
    visitor,
  }) => {
    test.setTimeout(120_000);
    const [ada, ben] = await Promise.all([(await visitor()).open(), (await visitor()).open()]);
    await ada.join('harbour');
    await ben.join('harbour');
    await ada.saySurely('old');
    await ben.seesLast('old');
    const line = ben.page.locator('.new-line');
    const begins = ben.page.locator('li', { has: line }).locator('.message-text');
    const whileAway = async (texts: string[]) => {
      await ben.page.goto('about:blank');
      await sayMany(ada, texts);
      await expect(ada.pending).toHaveCount(0, { timeout: 60_000 });
      await ben.go('/r/harbour');
    };
    await whileAway(Array.from({ length: 120 }, (_, index) => `new ${index}`));
    await expect(begins).toHaveText('new 0');
    await expect(line).toHaveText('New');
    await expect(async () => {
      const top = (await line.boundingBox())?.y ?? 0;
      expect(Math.abs(top - 800 / 3)).toBeLessThan(30);
    }).toPass({ timeout: 5_000 });
    await expect(ben.rooms.nth(1)).toContainText('120 new');

    // Too far above for anybody to wait for it: the way there is his.
    await whileAway(Array.from({ length: 150 }, (_, index) => `newer ${index}`));
    await expect(line).toHaveText('50 new here, and more above');
    await expect(begins).toHaveText('newer 100');
    await expect(line).toBeInViewport();
    await ben.page.evaluate(() => new Promise((done) => setTimeout(done, 700)));
    await expect(line).toBeInViewport();
    await expect(begins).toHaveText('newer 100');
    await expect(ben.rooms.nth(1)).toContainText(/\d+\+/);
    await ben.newest.click();
    await expect(ben.rooms.nth(1)).not.toContainText('new');
  });

  test('what was not drawn yet was not read, in a tall window too, and who reads is not moved by what comes late', async ({
    visitor,
  }) => {
    test.setTimeout(120_000);
    const [ada, ben] = await Promise.all([(await visitor()).open(), (await visitor()).tab()]);
    let lateMs = 0;
    await ben.page.routeWebSocket(/./, (browser) => {
      const house = browser.connectToServer();
      house.onMessage((frame) => void setTimeout(() => browser.send(frame), lateMs));
    });
    await ada.join('harbour');
    await ben.join('harbour');
    await ada.saySurely('old');
    await ben.seesLast('old');
    const line = ben.page.locator('.new-line');
    const begins = ben.page.locator('li', { has: line }).locator('.message-text');
    const whileAway = async (word: string) => {
      await ben.page.goto('about:blank');
      await sayMany(ada, Array.from({ length: 120 }, (_, index) => `${word} ${index}`));
      await expect(ada.pending).toHaveCount(0, { timeout: 60_000 });
      await ben.go('/r/harbour');
    };
    await ben.page.setViewportSize({ width: 1280, height: 2400 });
    lateMs = 300;
    await whileAway('new');
    await expect(begins).toHaveText('new 0');
    await expect(line).toBeInViewport();
    await expect(ben.rooms.nth(1)).toContainText('120 new');
    await ben.newest.click();
    await expect(ben.rooms.nth(1)).not.toContainText('new');

    await ben.page.setViewportSize({ width: 1280, height: 800 });
    lateMs = 2_000;
    await whileAway('newer');
    await expect(begins).toHaveText('newer 70');
    await expect(line).toBeInViewport();
    const read = ben.page.getByText('newer 72', { exact: true });
    const top = async () => (await read.boundingBox())?.y ?? 0;
    await expect.poll(async () => Math.abs((await top()) - 800 / 3)).toBeLessThan(120);
    // Asked for, and what the connection said is gone; it comes two seconds later.
    await expect(ben.page.locator('.log')).toHaveAttribute('aria-busy', 'true');
    await expect(ben.pill).toBeHidden();
    const stood = await top();
    await expect(begins).toHaveText('newer 20');
    await ben.page.evaluate(() => new Promise((done) => setTimeout(done, 300)));
    // But for one name more below it: what is above has a say in how rows are grouped.
    expect(Math.abs((await top()) - stood)).toBeLessThan(50);
  });

  test('who reads above sees how many came, and is brought to them', async ({ visitor }) => {
    const [ada, ben] = await Promise.all([(await visitor()).open(), (await visitor()).open()]);
    await sayMany(ada, Array.from({ length: 60 }, (_, index) => `line ${index}`));
    await ben.seesLast('line 59');
    await ben.readAbove(500);
    await expect(ben.newest).toHaveAccessibleName('Back to the newest messages');
    const top = async (part: Locator) => (await part.boundingBox())?.y ?? 0;
    expect(await top(ben.newest), 'it covers no message').toBeGreaterThan(await top(ben.page.locator('.foot')));
    // He is back where he was.
    const read = await top(ben.texts.nth(40));
    await ben.page.getByRole('link', { name: 'All rooms' }).click();
    await expect(ben.title).toHaveText('All rooms');
    await ben.rooms.first().click();
    await expect(ben.newest).toBeVisible();
    await expect.poll(() => top(ben.texts.nth(40))).toBe(read);
    // Also where the page is loaded anew, with fewer messages than he had before him.
    await ben.readAbove(1_000);
    const line = ben.page.getByText('line 15', { exact: true });
    await expect(line).toBeInViewport();
    const stood = await top(line);
    await ben.reload();
    await expect.poll(async () => Math.abs((await top(line)) - stood)).toBeLessThanOrEqual(1);
    await expect(ben.newest).toBeVisible();
    await ada.saySurely('first');
    await ada.saySurely('second');
    await expect(ben.newest).toHaveText('2 new');
    await ben.newest.click();
    await expect(ben.texts.last()).toBeInViewport();
    await expect(ben.newest).toBeHidden();
  });
});

test.describe('with one room in six seconds', () => {
  test.use({ settings: { WASMCHANNEL_LIMITS_ROOMS_MADE_PER_USER: '10/min burst 1' } });

  test('a room that waits says why and until when, and takes nobody away from where he went', async ({ visitor }) => {
    const ada = await (await visitor()).open();
    await ada.create('one');
    await ada.askForRoom('two');
    const words = 'You made many rooms in a short time. It will be done within a minute if this page stays open.';
    await expect(ada.page.getByText(words)).toBeVisible();
    await ada.rooms.first().click();
    await expect(ada.page).toHaveURL(`${ada.url}/`);
    await expect(ada.rooms).toHaveCount(3, { timeout: 15_000 });
    await expect(ada.page.getByText(words)).toBeHidden();
    await expect(ada.page).toHaveURL(`${ada.url}/`);
  });

  test('a room that is made late takes nobody out of what he has begun to write', async ({ visitor }) => {
    const ada = await (await visitor()).open();
    await ada.create('one');
    await ada.askForRoom('two');
    await ada.composer.pressSequentially('half a sen');
    await ada.page.getByRole('heading', { level: 1 }).click();
    await expect(ada.rooms).toHaveCount(3, { timeout: 15_000 });
    await expect(ada.page.getByLabel('Name of the room')).toBeHidden();
    await expect(ada.page).toHaveURL(/one$/);
    await expect(ada.composer).toHaveValue('half a sen');

    await ada.askForRoom('three');
    await ada.page.getByLabel('Name of the room').fill('fo');
    await expect(ada.rooms).toHaveCount(4, { timeout: 15_000 });
    await expect(ada.page).toHaveURL(/one$/);
    await expect(ada.page.getByLabel('Name of the room')).toHaveValue('fo');

    // Who only waits is brought there.
    await ada.page.getByLabel('Name of the room').fill('four');
    await ada.page.keyboard.press('Enter');
    await expect(ada.page).toHaveURL(/four$/, { timeout: 15_000 });
  });
});
