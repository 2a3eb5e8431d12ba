// While the server is away nobody loses the page that he has: it changes without it, or stays.

import type { Page } from '@playwright/test';

import { expect, test } from '../world';

const PHONE = { viewport: { width: 360, height: 740 } };
const NEEDS_SERVER = 'This needs the server, which cannot be reached now. Nothing was lost.';
const PAGE_TYPE = 'application/x-wasmchannel-page';

test('on a phone one goes about the house without the server, and what waits is not lost', async ({ visitor, house }) => {
  const ada = await (await visitor(PHONE)).open();
  await ada.join('harbour');
  await ada.saySurely('still readable');
  // He is told that the room is his.
  await expect(ada.page.locator('#room-menu a')).toHaveText('Room settings');
  await house.stop('SIGKILL');
  await ada.say('waits');
  await ada.composer.fill('half a sen');
  const loads = countLoads(ada.page);

  const back = ada.page.locator('.header-back');
  await back.click();
  await expect(ada.page).toHaveURL(`${ada.url}/rooms`);
  await expect(ada.rooms).toHaveCount(2);
  await expect(ada.page.getByText(NEEDS_SERVER)).toBeVisible();
  await ada.rooms.nth(1).click();
  await expect(ada.composer).toHaveValue('half a sen');
  expect(await ada.said()).toEqual(['still readable', 'waits']);
  await ada.page.getByRole('button', { name: 'Room menu' }).click();
  await ada.page.getByRole('link', { name: 'Room settings' }).click();
  await expect(ada.page.getByLabel('Topic')).toBeVisible();
  await back.click();
  await expect(ada.page.getByText(NEEDS_SERVER)).toBeVisible();

  await house.start();
  await expect(ada.page.getByRole('link', { name: 'Open', exact: true })).toBeVisible({ timeout: 35_000 });
  await expect(ada.page.getByText(NEEDS_SERVER)).toBeHidden();
  await ada.rooms.nth(1).click();
  await expect(ada.pending).toHaveCount(0, { timeout: 35_000 });
  await expect(ada.composer).toHaveValue('half a sen');
  expect(loads()).toBe(0);
});

test('a room of the list is looked at and joined without a page being loaded, later where need be', async ({ visitor, house }) => {
  const ben = await (await visitor()).open();
  for (const name of ['Harbour', 'Night watch', 'Workshop']) await ben.create(name);
  const ada = await (await visitor()).open();
  await ada.saySurely('so that there is a guest');
  const loads = countLoads(ada.page);
  await ada.page.getByRole('link', { name: 'All rooms' }).click();
  const row = (name: string) => ada.page.locator('.rooms-row', { hasText: name });
  await row('Workshop').getByRole('button', { name: 'Join' }).click();
  await expect(ada.page).toHaveURL(/workshop$/);
  await expect(ada.composer).toBeVisible();

  await ada.page.getByRole('link', { name: 'All rooms' }).click();
  await expect(row('Workshop').getByRole('link', { name: 'Open' })).toBeVisible();
  await house.stop('SIGKILL');
  await row('Harbour').getByRole('link').click();
  await expect(ada.title).toHaveText('Harbour');
  await expect(ada.page.getByText('1 member')).toBeVisible();
  await ada.page.goBack();
  await expect(ada.page.getByText(NEEDS_SERVER)).toBeVisible();
  await ada.page.goForward();
  await ada.page.getByRole('button', { name: 'Join' }).click();
  await expect(ada.page.getByText('It waits for the connection')).toBeVisible();
  await house.start();
  await expect(ada.composer).toBeVisible({ timeout: 35_000 });
  expect(loads()).toBe(0);
});

test('a form that only the server answers stays, from the first moment on', async ({ visitor, house }) => {
  const ada = await (await visitor()).open();
  await ada.saySurely('so that there is a guest');
  await ada.go('/me');
  await ada.page.getByLabel('Your name').fill('half a na');
  await house.stop('SIGKILL');
  const words = ada.page.getByText(NEEDS_SERVER);
  const arabic = ada.page.getByRole('button', { name: 'العربية' });
  for (const known of [false, true]) {
    if (known) await expect(ada.pill).toContainText('Reconnecting');
    await arabic.click();
    await expect(words).toBeVisible();
    await expect(ada.page.getByLabel('Your name')).toHaveValue('half a na');
  }
  await house.start();
  await expect(words).toBeHidden({ timeout: 35_000 });
  await arabic.click();
  await expect(ada.page.locator('html')).toHaveAttribute('dir', 'rtl');
});

test('a room that is not known here is asked for when the server is back', async ({ visitor, house }) => {
  const ada = await (await visitor()).open();
  await house.stop('SIGKILL');
  await ada.page.evaluate(() => {
    history.pushState(null, '', '/r/unknown');
    dispatchEvent(new PopStateEvent('popstate'));
  });
  await expect(ada.title).toHaveText('unknown');
  await expect(ada.page.getByText(NEEDS_SERVER)).toBeVisible();
  await house.start();
  await expect(ada.page.getByText('Nobody has made this room yet')).toBeVisible({ timeout: 35_000 });
});

test('a page that is cut off costs nothing of the one that is there', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.saySurely('so that there is a guest');
  const loads = countLoads(ada.page);
  await ada.page.evaluate(() => {
    Response.prototype.text = () => Promise.reject(new TypeError('network error'));
  });
  await ada.page.getByRole('link', { name: 'All rooms' }).click();
  await expect(ada.page.getByText(NEEDS_SERVER)).toBeVisible();
  expect(loads()).toBe(0);
});

test('a form goes to a server of another version, once, however often it is pressed', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.saySurely('so that there is a guest');
  await ada.go('/me');
  let answer = () => {};
  const pressed = new Promise<void>((done) => (answer = done));
  await ada.page.route('**/me', async (route) => {
    const kind = await route.request().headerValue('accept');
    if (kind !== PAGE_TYPE) return route.continue();
    await pressed;
    await route.fulfill({ contentType: PAGE_TYPE, body: 'of another version' });
  });
  await ada.page.route('**/language', (route) => setTimeout(() => void route.continue(), 500));
  await ada.page.evaluate(() => {
    addEventListener('submit', (event) => {
      if (event.defaultPrevented) return;
      sessionStorage.sent = Number(sessionStorage.sent ?? 0) + 1;
      // Once more, while the answer is under way.
      setTimeout(() => event.submitter?.click(), 50);
    });
  });
  const arabic = ada.page.getByRole('button', { name: 'العربية' });
  await arabic.click();
  await arabic.click();
  answer();
  await expect(ada.page.locator('html')).toHaveAttribute('dir', 'rtl');
  expect(await ada.page.evaluate(() => sessionStorage.sent)).toBe('1');
});

/** How often the page is loaded from now on. */
function countLoads(page: Page): () => number {
  let loads = 0;
  page.on('request', (request) => {
    if (request.isNavigationRequest()) loads++;
  });
  return () => loads;
}
