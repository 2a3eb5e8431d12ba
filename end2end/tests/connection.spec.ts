// The network goes and comes back; nobody reloads, and nothing is lost or said twice.

import { setTimeout as sleep } from 'node:timers/promises';

import type { Page } from '@playwright/test';

import { FOR_SCRIPTS } from '../house';
import { sayMany } from '../pages/room';
import { expect, test } from '../world';

test('the state is shown between two and three seconds after a close', async ({ visitor, house }) => {
  const ada = await (await visitor()).tab();
  await timeTheTrouble(ada.page);
  await ada.go('/');
  await ada.saySurely('still readable');
  await house.stop('SIGKILL');
  await expect(ada.pill).toContainText('Reconnecting');
  const waited = await ada.page.evaluate(() => window.trouble.shown - window.trouble.closed);
  expect(waited).toBeGreaterThanOrEqual(1_950);
  expect(waited).toBeLessThanOrEqual(3_000);
  expect(await ada.said()).toEqual(['still readable']);
  await expect(ada.composer).toBeEditable();
});

test('without a network the state is shown as soon, and goes when it is back', async ({ visitor }) => {
  const visiting = await visitor();
  visiting.complaints.expectNetwork();
  const ada = await visiting.tab();
  await timeTheTrouble(ada.page);
  await ada.go('/');
  await ada.saySurely('still readable');
  await visiting.context.setOffline(true);
  await expect(ada.pill).toContainText('Offline');
  const waited = await ada.page.evaluate(() => window.trouble.shown - window.trouble.offline);
  expect(waited).toBeGreaterThanOrEqual(1_950);
  expect(waited).toBeLessThanOrEqual(3_000);
  await ada.say('waits on this device');
  await expect(ada.pending).toHaveCount(1);
  await visiting.context.setOffline(false);
  await expect(ada.pending).toHaveCount(0);
  await expect(ada.pill).toBeHidden();
});

test('what was written while the server was away for 20 seconds goes out once, in order', async ({ visitor, house }) => {
  const ada = await (await visitor()).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('before');
  await ben.seesLast('before');
  await house.stop();
  for (const text of ['1', '2', '3', '4', '5']) await ada.say(text);
  await expect(ada.pending).toHaveCount(5);
  await sleep(20_000);
  await house.start();
  const all = ['before', '1', '2', '3', '4', '5'];
  await expect(ada.pending).toHaveCount(0, { timeout: 35_000 });
  await expect.poll(() => ben.said(), { timeout: 35_000 }).toEqual(all);
  expect(await ada.said()).toEqual(all);
  await expect(ada.pill).toBeHidden();
  await ada.reload();
  expect(await ada.said()).toEqual(all);
});

test('a form that waits for the server says so, on a phone too', async ({ visitor, house }) => {
  test.setTimeout(90_000);
  const ada = await (await visitor({ viewport: { width: 360, height: 740 } })).open();
  await ada.saySurely('here');
  await ada.go('/me');
  await house.stop('SIGKILL');
  await ada.page.getByLabel('Your name').fill('Ada Lovelace');
  await ada.page.getByRole('button', { name: 'Save' }).click();
  const words = ada.page.getByText('It waits for the connection, and is done then if this page stays open.');
  await expect(words).toBeVisible();
  await expect(ada.pill).toContainText('Reconnecting');
  await house.start();
  await expect(ada.page.getByText('Saved')).toBeVisible({ timeout: 35_000 });
  await expect(words).toBeHidden();
  await expect(ada.pill).toBeHidden();

  // What was written since is not saved.
  await house.stop('SIGKILL');
  await ada.page.getByLabel('Your name').fill('Ada');
  await ada.page.getByRole('button', { name: 'Save' }).click();
  await expect(words).toBeVisible();
  await ada.page.getByLabel('Your name').fill('Ada King');
  await house.start();
  const stored = async () => (await ada.page.request.get(`${ada.url}/me`)).text();
  await expect.poll(stored, { timeout: 35_000 }).toContain('value="Ada"');
  await expect(ada.pill).toBeHidden();
  await expect(ada.page.getByText('Saved')).toBeHidden();
  await expect(ada.page.getByLabel('Your name')).toHaveValue('Ada King');
});

test('Retry now connects at once', async ({ visitor, house }) => {
  const ada = await (await visitor()).open();
  await ada.saySurely('here');
  await house.stop('SIGKILL');
  await sleep(6_000);
  await house.start();
  const retry = ada.pill.getByRole('button', { name: 'Retry now' });
  // It goes away under the hand where the page comes back by itself in that moment.
  if (await retry.isVisible()) await retry.click({ timeout: 2_000 }).catch(() => {});
  await expect(ada.pill).toBeHidden({ timeout: 3_000 });
});

test('a message waits as pending while no answer comes, and is then sent', async ({ visitor, street }) => {
  const ada = await (await visitor({}, street)).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('first');
  street.hold();
  await ada.say('under way');
  await ben.seesLast('under way');
  await expect(ada.pending).toHaveCount(1);
  street.release();
  await expect(ada.pending).toHaveCount(0);
  expect(await ada.said()).toEqual(['first', 'under way']);
});

test.describe('with rates for scripts', () => {
  test.use({ settings: FOR_SCRIPTS });

  test('who was cut off has all 30 messages he missed, in order', async ({ visitor, street }) => {
    const ada = await (await visitor({}, street)).open();
    const ben = await (await visitor()).open();
    await ben.saySurely('before');
    await ada.seesLast('before');
    street.cut();
    const missed = Array.from({ length: 30 }, (_, index) => `missed ${index}`);
    await sayMany(ben, missed);
    await ben.seesLast('missed 29');
    expect(await ada.said()).toEqual(['before']);
    street.mend();
    await expect.poll(() => ada.said(), { timeout: 35_000 }).toEqual(['before', ...missed]);
  });
});

declare global {
  interface Window {
    /** When, by the page's clock, its socket closed, its network went, and the page said so. */
    trouble: { closed: number; offline: number; shown: number };
  }
}

/** Lets the page keep the times itself: those of a test would tell how busy the machine is. */
async function timeTheTrouble(page: Page): Promise<void> {
  await page.addInitScript(() => {
    window.trouble = { closed: 0, offline: 0, shown: 0 };
    const now = (what: 'closed' | 'offline' | 'shown') => () => (window.trouble[what] ||= performance.now());
    addEventListener('offline', now('offline'));
    window.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener('close', now('closed'));
      }
    };
    const look = () => document.querySelector('.pill:not(#app-did-not-load)') && now('shown')();
    new MutationObserver(look).observe(document, { childList: true, subtree: true });
  });
}
