// A thousand messages through two pages, while the server is killed with SIGKILL five times.
// What became of them is read from the log itself, over a socket of the test's own, once the
// server has been started anew. The rates are raised for it: a person writes ten at once, then one
// a second.

import { setTimeout as sleep } from 'node:timers/promises';

import { FOR_SCRIPTS } from '../house';
import { lobbyLog } from '../log';
import { type RoomPage, sayMany } from '../pages/room';
import { expect, test } from '../world';

const EACH = 500;
const KILLS = 5;

test.use({ settings: FOR_SCRIPTS });

test('a thousand messages and five kills: none lost, doubled or out of order', async ({ visitor, house }) => {
  test.setTimeout(300_000);
  const ada = await (await visitor()).open();
  const ben = await (await visitor()).open();
  const texts = (who: string) => Array.from({ length: EACH }, (_, index) => `${who} ${index}`);
  const writing = Promise.all([sayMany(ada, texts('ada'), 60), sayMany(ben, texts('ben'), 60)]);
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(3_000 + 1_000 * Math.random());
    await house.stop('SIGKILL');
    await sleep(1_000);
    await house.start();
  }
  await writing;
  for (const room of [ada, ben]) await expect(room.pending).toHaveCount(0, { timeout: 60_000 });

  const shown = [await everything(ada), await everything(ben)];
  await house.stop();
  await house.start();
  const log = await lobbyLog(house);
  expect(log.map((event) => event.seq)).toEqual(log.map((_, index) => index + 1));
  const said = log.filter((event) => event.text !== undefined);
  expect(new Set(said.map((event) => event.op)).size).toBe(said.length);
  const stored = said.map((event) => event.text ?? '');
  for (const who of ['ada', 'ben']) {
    expect(stored.filter((text) => text.startsWith(who))).toEqual(texts(who));
  }
  expect(stored.length).toBe(2 * EACH);
  expect(shown).toEqual([stored, stored]);
});

/** All messages that a page shows while it is read up to the beginning, each once, in order: it
 * keeps 250 at a time, and what it shows again must be what it showed before. */
async function everything(room: RoomPage): Promise<string[]> {
  const beginning = room.page.getByText('The room begins here');
  let all = await room.said();
  const look = async () => {
    const now = await room.said();
    const known = now.indexOf(all[0] ?? '');
    expect(now.slice(known)).toEqual(all.slice(0, now.length - known));
    all = [...now.slice(0, known), ...all];
  };
  await expect(async () => {
    await room.page.locator('.pane').evaluate((pane) => (pane.scrollTop = -pane.scrollHeight));
    await look();
    await expect(beginning).toBeAttached({ timeout: 50 });
  }).toPass({ timeout: 60_000, intervals: [20] });
  await look();
  return all;
}
