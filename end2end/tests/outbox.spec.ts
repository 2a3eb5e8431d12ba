// Messages that wait outlive their page: a reload, a crash, a closed tab, a server that is away.

import { setTimeout as sleep } from 'node:timers/promises';

import type { BrowserContext, Locator } from '@playwright/test';

import { RoomPage } from '../pages/room';
import { expect, test } from '../world';

test('a message whose answer was lost with the page stands in the room once', async ({ visitor, street }) => {
  const ada = await (await visitor({}, street)).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('before');
  street.hold();
  await ada.say('once');
  await ben.seesLast('once');
  await expect(ada.pending).toHaveCount(1);
  street.cut();
  street.release();
  street.mend();
  await ada.reload();
  await expect.poll(() => kept(ada)).toBe(0);
  await expect(ada.pending).toHaveCount(0);
  expect(await ada.said()).toEqual(['before', 'once']);
  await expect(ada.composer).toHaveValue('');
  await ada.reload();
  expect(await ada.said()).toEqual(['before', 'once']);
});

test('what waited while the server was away goes out after a reload, in order', async ({ visitor, house }) => {
  const ada = await (await visitor()).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('before');
  await house.stop();
  for (const text of ['1', '2', '3']) await ada.say(text);
  await expect(ada.pending).toHaveCount(3);
  await expect.poll(() => kept(ada)).toBe(3);
  await ada.composer.fill('not yet sent');
  await ada.reloadInVain();
  await house.start();
  await ada.go('/');
  const all = ['before', '1', '2', '3'];
  await expect.poll(() => ben.said(), { timeout: 35_000 }).toEqual(all);
  await expect.poll(() => ada.said()).toEqual(all);
  await expect(ada.pending).toHaveCount(0);
  await expect(ada.composer).toHaveValue('not yet sent');
});

test('a message that failed stays in its room over a reload, until its writer tries it again', async ({ visitor, house, street }) => {
  const visiting = await visitor({}, street);
  const ada = await visiting.open();
  await ada.join('harbour');
  await ada.saySurely('before');
  street.cut();
  await ada.say('not yet said');
  const elsewhere = new RoomPage(await visiting.context.newPage(), house.url);
  await elsewhere.go('/r/harbour');
  await elsewhere.leave();
  street.mend();
  await expect(ada.failed).toHaveText(/not yet said/, { timeout: 35_000 });
  await ada.go('/');
  await ada.roomsNotSent.click();
  await expect(ada.title).toHaveText('harbour');
  await expect(ada.failed).toHaveText(/not yet said/);
  await expect(ada.failed.getByRole('button', { name: 'Edit' })).toHaveCount(0);
  await ada.page.getByRole('button', { name: 'Join' }).click();
  await expect(ada.failed.getByRole('button', { name: 'Edit' })).toBeVisible();
  await expect(ada.failed).toHaveText(/not yet said/);

  for (let time = 0; time < 2; time++) {
    await ada.reload();
    await expect(ada.failed).toHaveText(/not yet said/);
    await ada.say(`after ${time}`);
    await expect(ada.pending).toHaveCount(0);
    await expect(ada.composer).toHaveValue('');
  }
  expect(await ada.said()).toEqual(['before', 'after 0', 'after 1', 'not yet said']);
  await ada.rooms.first().click();
  await expect(ada.composer).toHaveValue('');
  await expect(ada.roomsNotSent).toHaveText(/harbour/);
  await ada.page.setViewportSize({ width: 360, height: 740 });
  await ada.page.getByRole('link', { name: 'Rooms. Not sent' }).click();
  await ada.roomsNotSent.click();
  await expect(ada.page.getByRole('link', { name: 'Rooms', exact: true })).toBeVisible();
  await ada.failed.getByRole('button', { name: 'Retry' }).click();
  await expect(ada.failed).toHaveCount(0);
  await expect(ada.roomsNotSent).toHaveCount(0);
  await expect(ada.pending).toHaveCount(0);
  await ada.reload();
  expect(await ada.said()).toEqual(['before', 'after 0', 'after 1', 'not yet said']);
  await expect(ada.failed).toHaveCount(0);
  expect(await kept(ada)).toBe(0);
});

test('what others write above a screen of failed messages is new until it is seen', async ({ visitor, house, street }) => {
  const visiting = await visitor({ viewport: { width: 360, height: 740 } }, street);
  const ada = await visiting.open();
  await ada.join('harbour');
  await ada.saySurely('before');
  const ben = await (await visitor()).open();
  await ben.join('harbour');
  street.cut();
  for (let time = 0; time < 9; time++) await ada.say(`not said ${time}`);
  const elsewhere = new RoomPage(await visiting.context.newPage(), house.url);
  await elsewhere.go('/r/harbour');
  await elsewhere.leave();
  street.mend();
  await expect(ada.failed).toHaveCount(9, { timeout: 35_000 });
  await ada.page.getByRole('button', { name: 'Join' }).click();
  await expect(ada.composer).toBeVisible();
  const said = ada.page.getByText('not seen yet');
  await ben.saySurely('not seen yet');
  await expect(ada.newest).toHaveAccessibleName('1 new');
  await expect(said).not.toBeInViewport();
  await expect(ada.page).toHaveTitle(/^\(1\)/);
  await ada.newest.click();
  await expectInSight(ada, said);
  await expect(ada.newest).toBeHidden();
  await expect(ada.page).toHaveTitle(/^harbour/);
  await ada.say('an own one');
  await expectInSight(ada, ada.page.getByText('an own one'));
  // As at 400 %, or on a phone that lies on its side.
  await ada.page.setViewportSize({ width: 740, height: 300 });
  await ben.saySurely('said to a low window');
  await expect(ada.newest).toHaveAccessibleName('1 new');
  await ada.newest.click();
  await expectInSight(ada, ada.page.getByText('said to a low window'));
  await expect(ada.newest).toBeHidden();
});

test('every change of what is kept is committed at once, for the page may end before it is answered', async ({ visitor }) => {
  const ada = await (await visitor()).tab();
  await ada.page.addInitScript(() => {
    const begun = (window.changes = { removed: 0, open: [] as IDBTransaction[] });
    const { commit } = IDBTransaction.prototype;
    IDBTransaction.prototype.commit = function () {
      begun.open = begun.open.filter((change) => change !== this);
      commit.call(this);
    };
    for (const name of ['put', 'delete', 'clear'] as const) {
      const act = IDBObjectStore.prototype[name] as (...given: unknown[]) => IDBRequest;
      IDBObjectStore.prototype[name] = function (this: IDBObjectStore, ...given: unknown[]) {
        // A lease is written in the answer to its own reading, which ends the transaction as soon.
        if (this.name !== 'leases') begun.open.push(this.transaction);
        if (name !== 'put') begun.removed++;
        return act.apply(this, given);
      } as never;
    }
  });
  await ada.go('/');
  await ada.saySurely('kept, sent and forgotten');
  await expect.poll(() => ada.page.evaluate(() => window.changes.removed)).toBeGreaterThan(0);
  expect(await ada.page.evaluate(() => window.changes.open.map((change) => [...change.objectStoreNames]))).toEqual([]);
});

test('what waited in a tab that crashed is sent by the next one, once', async ({ visitor, house }) => {
  const visiting = await visitor();
  const crashed = await visiting.open();
  await crashed.saySurely('before');
  await house.stop('SIGKILL');
  await crashed.say('1');
  await crashed.say('2');
  await expect.poll(() => kept(crashed)).toBe(2);
  const crash = crashed.page.waitForEvent('crash');
  void crashed.page.goto('chrome://crash').catch(() => {});
  await crash;
  await house.start();
  const next = await visiting.open();
  await expect.poll(() => next.said()).toEqual(['before', '1', '2']);
  await expect(next.pending).toHaveCount(0);
  await expect(next.composer).toHaveValue('');
  await next.reload();
  expect(await next.said()).toEqual(['before', '1', '2']);
});

for (const locks of [true, false]) {
  const by = locks ? 'by its lock' : 'by its lease, without locks';
  test(`a tab sends what it wrote, and what another left that was closed: ${by}`, async ({ visitor, house }) => {
    test.setTimeout(120_000);
    const visiting = await visitor();
    if (!locks) await withoutLocks(visiting.context);
    const ben = await (await visitor()).open();
    const first = await visiting.open();
    await first.saySurely('before');
    const second = await visiting.open();
    await house.stop();
    await first.say('from the first');
    await second.say('from the second');
    await expect.poll(() => kept(second)).toBe(2);
    await expect(second.pending).toHaveCount(1);
    await first.page.close();
    await house.start();
    const said = async () => (await ben.said()).sort();
    const all = ['before', 'from the first', 'from the second'];
    await expect.poll(said, { timeout: 70_000 }).toEqual(all);
    await expect.poll(async () => (await second.said()).sort()).toEqual(all);
    await expect(second.pending).toHaveCount(0);
    expect(await kept(second)).toBe(0);
  });
}

for (const locks of [true, false]) {
  test(`what a tab has left is taken over once${locks ? '' : ', also without locks'}`, async ({ visitor, house }) => {
    const visiting = await visitor();
    if (!locks) await withoutLocks(visiting.context);
    test.setTimeout(90_000);
    await countDatabase(visiting.context);
    const gone = await visiting.open();
    await gone.saySurely('before');
    const heir = await visiting.open();
    await house.stop();
    await gone.say('left behind');
    await expect.poll(() => kept(gone)).toBe(1);
    await gone.page.close();
    const look = () => heir.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await look();
    await expect(heir.pending).toHaveCount(1, { timeout: 40_000 });
    for (let time = 0; time < 5; time++) await look();
    await sleep(1_000);
    await heir.page.evaluate(() => (window.database = { all: 0, leases: 0 }));
    await sleep(10_500);
    const { all, leases } = await heir.page.evaluate(() => window.database);
    expect(all, 'nobody is waited for any more').toBe(0);
    // The own lease, renewed every five seconds.
    expect(leases).toBeLessThanOrEqual(locks ? 0 : 3);
  });
}

for (const locks of [true, false]) {
  test(`a tab that comes back after it was taken over keeps what it writes${locks ? '' : ', also without locks'}`, async ({
    visitor,
    house,
  }) => {
    test.setTimeout(120_000);
    const visiting = await visitor();
    if (!locks) await withoutLocks(visiting.context);
    const ada = await visiting.open();
    await ada.saySurely('before');
    const heir = await visiting.open();
    // The heir gets the first one while Ada's tab is gone; the second is written when she is back.
    for (const text of ['first', 'second']) {
      await house.stop();
      await ada.say(text);
      await expect.poll(() => kept(heir)).toBe(1);
      await ada.reloadInVain();
      if (text === 'first') {
        await heir.hide(false);
        await expect(heir.pending).toHaveCount(1, { timeout: 40_000 });
      }
      await house.start();
      await ada.go('/');
      await expect.poll(() => kept(heir), { timeout: 40_000 }).toBe(0);
    }
    await expect.poll(() => ada.said()).toEqual(['before', 'first', 'second']);
    await expect(ada.composer).toHaveValue('');
    await expect(heir.composer).toHaveValue('');
  });
}

test('a tab whose name another page does not give back takes another one', async ({ visitor, house }) => {
  const visiting = await visitor();
  const ada = await visiting.open();
  await ada.saySurely('before');
  const name = await ada.page.evaluate(async () => (await navigator.locks.query()).held?.[0]?.name ?? '');
  expect(name).toMatch(/^tab:/);
  const other = await visiting.open();
  await other.page.evaluate((name) => void navigator.locks.request(name, () => new Promise(() => {})), name);
  await ada.reload();
  await house.stop();
  await ada.say('under another name');
  await expect.poll(() => kept(other)).toBe(1);
  await ada.reloadInVain();
  await house.start();
  await ada.go('/');
  await ada.seesLast('under another name');
  await expect(ada.pending).toHaveCount(0);
  await expect.poll(() => kept(other)).toBe(0);
});

test('a browser that keeps nothing says so, and sends as ever', async ({ visitor, house }) => {
  const visiting = await visitor();
  await visiting.context.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException('refused', 'SecurityError');
    };
  });
  const ada = await visiting.open();
  await ada.saySurely('before');
  await house.stop();
  await ada.say('waits');
  await expect(ada.page.locator('.status-waiting')).toContainText('Leave this page open');
  await house.start();
  await expect(ada.pending).toHaveCount(0, { timeout: 35_000 });
  await expect(ada.page.locator('.status-waiting')).toBeEmpty();
  await house.stop();
  await ada.say('comes back in the composer');
  await expect(ada.pending).toHaveCount(1);
  await ada.reloadInVain();
  await house.start();
  await ada.go('/');
  await expect(ada.composer).toHaveValue('comes back in the composer');
});

/** That it is seen whole, between the head and the foot, which cover what is behind them. */
async function expectInSight(room: RoomPage, part: Locator): Promise<void> {
  const box = async (part: Locator) => (await part.boundingBox()) ?? { y: 0, height: 0 };
  await expect(async () => {
    const [head, seen, foot] = [await box(room.page.locator('.header')), await box(part), await box(room.page.locator('.foot'))];
    expect(seen.y).toBeGreaterThanOrEqual(head.y + head.height);
    expect(seen.y + seen.height).toBeLessThanOrEqual(foot.y);
  }).toPass({ timeout: 5_000 });
}

/** How many messages lie in the browser's database. */
function kept(room: RoomPage): Promise<number> {
  return room.page.evaluate(
    () =>
      new Promise<number>((done, fail) => {
        const opened = indexedDB.open('wasmchannel');
        opened.onerror = () => fail(opened.error);
        opened.onsuccess = () => {
          const count = opened.result.transaction('outbox').objectStore('outbox').count();
          count.onerror = () => fail(count.error);
          count.onsuccess = () => {
            opened.result.close();
            done(count.result);
          };
        };
      }),
  );
}

/** Counts how often the outbox is read whole, and how often a lease is looked up. */
async function countDatabase(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    window.database = { all: 0, leases: 0 };
    const { get, getAll } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.getAll = function (...given) {
      window.database.all += 1;
      return getAll.apply(this, given);
    };
    IDBObjectStore.prototype.get = function (...given) {
      if (this.name === 'leases') window.database.leases += 1;
      return get.apply(this, given);
    };
  });
}

declare global {
  interface Window {
    database: { all: number; leases: number };
    /** What was forgotten so far, and the changes that were begun and not committed. */
    changes: { removed: number; open: IDBTransaction[] };
  }
}

/** As on plain http from another machine. */
async function withoutLocks(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined });
  });
}
