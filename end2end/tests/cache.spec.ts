// The newest pages of the last rooms outlive their page: a reload goes on where it ended. What is
// asked and answered is read from the wire, what lies on the disk from the browser's database.

import type { RoomPage } from '../pages/room';
import { expect, test } from '../world';
import type { House } from '../house';

const KIND = { sub: 2, reset: 67 };

test('a reload resumes the rooms beside the one it shows, and what came meanwhile stands there once', async ({
  visitor,
  house,
}) => {
  const visiting = await visitor();
  const ben = await (await visitor()).open();
  const ada = await visiting.open();
  await ada.join('harbour');
  await ben.join('harbour');
  const all = ['one', 'two', 'three'];
  for (const text of all) await ben.saySurely(text);
  await ada.seesLast('three');
  await ada.saySurely('mine');
  await ada.rooms.first().click();
  await expect(ada.page).toHaveURL(`${ada.url}/`);
  await keptOf(ada, 2);
  await ada.page.goto('about:blank');
  for (const text of ['meanwhile', 'later']) await ben.saySurely(text);

  const wire = await reopened(ada, house);
  await expect(ada.rooms.nth(1)).toContainText('2 new');
  await expectResumed(wire, 2);
  await ben.saySurely('now');
  await expect(ada.rooms.nth(1)).toContainText('3 new');
  await ada.rooms.nth(1).click();
  const shown = [...all, 'mine', 'meanwhile', 'later', 'now'];
  await expect.poll(() => ada.said()).toEqual(shown);
  const begins = ada.page.locator('li', { has: ada.page.locator('.new-line') });
  await expect(begins.locator('.message-text')).toHaveText('meanwhile');
  await expect(ada.page.getByText('The room begins here')).toBeAttached();
  await ada.saySurely('again');
  await ben.seesLast('again');

  // What was resumed is kept again, and what is drawn is no worse.
  for (const path of ['/', '/r/harbour']) {
    await keptOf(ada, 2);
    await ada.page.goto('about:blank');
    await expectResumed(await reopened(ada, house, path), 2);
    await ada.rooms.nth(1).click();
    await expect.poll(() => ada.said()).toEqual([...shown, 'again']);
  }
});

test('a page goes with its room, and all go when the browser is somebody else', async ({ visitor }) => {
  const visiting = await visitor();
  const ada = await visiting.open();
  for (const key of ['harbour', 'mole']) {
    await ada.join(key);
    await ada.saySurely(`said in ${key}`);
  }
  await keptOf(ada, 3);
  await ada.leave();
  await expect.poll(async () => (await pages(ada)).length).toBe(2);
  const [former] = await pages(ada);

  await visiting.context.clearCookies();
  await ada.go('/');
  await ada.saySurely('who am I');
  await expect(ada.rooms).toHaveCount(1);
  await keptOf(ada, 1);
  const [next] = await pages(ada);
  expect(next?.user).not.toBe(former?.user);
  expect(await ada.page.content()).not.toContain('said in harbour');
});

for (const database of ['refuses', 'is silent']) {
  test(`where the browser's database ${database} a room begins as it always did`, async ({ visitor }) => {
    const visiting = await visitor();
    await visiting.context.addInitScript((silent) => {
      IDBFactory.prototype.open = () => {
        if (silent) return new EventTarget() as IDBOpenDBRequest;
        throw new DOMException('refused', 'SecurityError');
      };
    }, database === 'is silent');
    const ben = await (await visitor()).open();
    const ada = await visiting.open();
    await ada.join('harbour');
    await ben.join('harbour');
    await ben.saySurely('before');
    await ada.seesLast('before');
    await ada.go('/');
    await ben.saySurely('after');
    await expect(ada.rooms.nth(1)).toContainText('1 new');
    await ada.rooms.nth(1).click();
    await expect.poll(() => ada.said()).toEqual(['before', 'after']);
  });
}

test('a database of the last build keeps what it holds, and a page of another build goes', async ({ visitor }) => {
  const visiting = await visitor();
  const ada = await visiting.tab();
  await ada.page.goto(`${ada.url}/health`);
  await inDatabase(ada, 1, ['outbox', 'leases'], 'outbox');
  await ada.go('/');
  await ada.saySurely('here');
  await keptOf(ada, 1);
  await ada.page.goto(`${ada.url}/health`);
  expect(await inDatabase(ada, 2, [], 'outbox')).toBe(1);
  expect(await inDatabase(ada, 2, [], 'pages')).toBe(2);
  await ada.go('/');
  await expect.poll(async () => (await pages(ada)).length).toBe(0);
  await keptOf(ada, 1);
});

/** The frames of the page's sockets from here on. */
interface Wire {
  sent: Buffer[];
  heard: Buffer[];
  shown: (frames: Buffer[], kind: number) => Promise<string[]>;
}

/** Comes back to the house, over a wire that is read. */
async function reopened(room: RoomPage, house: House, path = '/'): Promise<Wire> {
  const shown = (frames: Buffer[], kind: number) => {
    const meant = frames.filter((frame) => frame.readUInt16LE(2) === kind);
    return Promise.all(meant.map((frame) => house.command('frame', 'decode', frame.toString('hex'))));
  };
  const wire: Wire = { sent: [], heard: [], shown };
  room.page.once('websocket', (socket) => {
    socket.on('framesent', (frame) => wire.sent.push(Buffer.from(frame.payload)));
    socket.on('framereceived', (frame) => wire.heard.push(Buffer.from(frame.payload)));
  });
  await room.go(path);
  return wire;
}

/** So many rooms were asked for with a cursor, and none was told from its beginning. */
async function expectResumed(wire: Wire, count: number): Promise<void> {
  await expect.poll(async () => (await wire.shown(wire.sent, KIND.sub)).length).toBe(count);
  for (const sub of await wire.shown(wire.sent, KIND.sub)) expect(sub).toContain('cursor: Some');
  // The user's own log has no snapshot, and nothing of it is kept.
  for (const reset of await wire.shown(wire.heard, KIND.reset)) expect(reset).toContain('snapshot: None');
}

/** Lets the page think that it ends, and waits until so many rooms are kept: at its real end it can
 * only try. */
async function keptOf(room: RoomPage, count: number): Promise<void> {
  await expect(async () => {
    await room.page.evaluate(() => window.dispatchEvent(new Event('pagehide')));
    expect((await pages(room)).length).toBe(count);
  }).toPass({ timeout: 10_000 });
}

/** The pages in the browser's database: whose they are. */
function pages(room: RoomPage): Promise<{ user: string }[]> {
  return room.page.evaluate(
    () =>
      new Promise<{ user: string }[]>((done, fail) => {
        const opened = indexedDB.open('wasmchannel');
        opened.onerror = () => fail(opened.error);
        opened.onsuccess = () => {
          const all = opened.result.transaction('pages').objectStore('pages').getAll();
          all.onerror = () => fail(all.error);
          all.onsuccess = () => {
            opened.result.close();
            done(all.result.map((bytes: Uint8Array) => ({ user: bytes.slice(1, 17).join() })));
          };
        };
      }),
  );
}

/** Puts a row that no build has written into a store, made first where it is new; how many there are. */
function inDatabase(room: RoomPage, version: number, stores: string[], store: string): Promise<number> {
  return room.page.evaluate(
    ({ version, stores, store }) =>
      new Promise<number>((done, fail) => {
        const opened = indexedDB.open('wasmchannel', version);
        opened.onerror = () => fail(opened.error);
        opened.onupgradeneeded = () => stores.forEach((name) => opened.result.createObjectStore(name));
        opened.onsuccess = () => {
          const rows = opened.result.transaction(store, 'readwrite').objectStore(store);
          rows.put(new Uint8Array([9, 9, 9]), 'of another build');
          const count = rows.count();
          count.onerror = () => fail(count.error);
          count.onsuccess = () => {
            opened.result.close();
            done(count.result);
          };
        };
      }),
    { version, stores, store },
  );
}
