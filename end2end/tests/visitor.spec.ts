// Somebody comes in: without a form, as one guest however many tabs he opens, and without a
// secret that a page could read.

import { expect, test } from '../world';

test('a visitor who only looks leaves nothing behind', async ({ visitor }) => {
  const looker = await visitor({ javaScriptEnabled: false });
  const page = await looker.open();
  await expect(page.composer).toBeVisible();
  expect(await looker.context.cookies()).toEqual([]);
});

test('a guest keeps his name over a reload, and no page shows his secret', async ({ visitor, house }) => {
  const ada = await visitor();
  const room = await ada.open();
  await room.saySurely('who am I');
  const name = await room.page.locator('.message-name').last().textContent();
  expect(name).not.toBe('');

  const [cookie] = await ada.context.cookies();
  expect(cookie).toMatchObject({ name: 'sid', httpOnly: true, sameSite: 'Lax', path: '/' });
  const secret = cookie?.value ?? '';
  expect(secret.length).toBeGreaterThanOrEqual(40);
  await room.reload();
  await expect(room.page.locator('.message-name').last()).toHaveText(name ?? '');

  for (const path of ['/', '/me', '/rooms', '/status', '/health']) {
    expect(await (await ada.context.request.get(house.url + path)).text()).not.toContain(secret);
  }
  const seen = await room.page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }));
  expect(seen).not.toContain(secret);
  expect(await room.page.evaluate(() => document.cookie)).toBe('');
});

test('two tabs that open at once make one guest', async ({ visitor }) => {
  const ada = await visitor();
  const tabs = await Promise.all([ada.tab(), ada.tab()]);
  await Promise.all(tabs.map((tab) => tab.go('/')));
  await tabs[0].saySurely('from the first');
  await tabs[1].saySurely('from the second');
  const names = await tabs[1].page.locator('.message-name').allTextContents();
  expect(new Set(names).size).toBe(1);
});

test('the second tab goes on when the first is closed', async ({ visitor }) => {
  const ada = await visitor();
  const ben = await (await visitor()).open();
  const first = await ada.open();
  const second = await ada.open();
  await first.saySurely('two tabs');
  await second.seesLast('two tabs');
  await first.page.close();
  await ben.saySurely('do you hear me');
  await second.seesLast('do you hear me');
  await second.saySurely('I do');
  await ben.seesLast('I do');
});

test('a new name is shown beside what is said from then on', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('before');
  await ada.go('/me');
  await ada.page.getByLabel('Your name').fill('Ada Lovelace');
  await ada.page.getByRole('button', { name: 'Save' }).click();
  const saved = ada.page.getByText('Saved');
  await expect(saved).toBeVisible();
  await ada.page.getByLabel('Your name').fill('');
  await ada.page.getByRole('button', { name: 'Save' }).click();
  await expect(ada.page.getByText('Write at least one character.')).toBeVisible();
  await expect(saved).toHaveCount(0);
  await ada.page.getByLabel('Your name').fill('Ada Lovelace');
  await expect(saved, 'it was not sent again').toHaveCount(0);
  await ada.page.getByRole('button', { name: 'Save' }).click();
  await expect(saved).toBeVisible();
  await ada.go('/');
  await ada.saySurely('after');
  await ben.seesLast('after');
  await expect(ben.page.locator('.message-name').last()).toHaveText('Ada Lovelace');
});
