// Rooms: made, entered, left, and switched without a new connection.

import { expect, test } from '../world';

test('a room is made, found in the list, entered by another and left', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.create('Night Sky');
  await expect(ada.page).toHaveURL(/\/r\/night-sky$/);
  await expect(ada.title).toHaveText('Night Sky');
  await ada.saySurely('first light');

  const ben = await (await visitor()).open('/rooms');
  await ben.page.getByRole('link', { name: 'Night Sky' }).first().click();
  await expect(ben.texts).toHaveCount(0);
  await ben.page.getByRole('button', { name: 'Join' }).click();
  await ben.seesLast('first light');
  await ben.saySurely('I see it');
  await ada.seesLast('I see it');

  await ben.leave();
  await expect(ben.page).toHaveURL(`${ben.url}/`);
  await ada.saySurely('gone?');
  await ben.go('/r/night-sky');
  await expect(ben.texts).toHaveCount(0);
});

test('joining an unknown key makes the room, and what is said stays inside', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.join('xyz');
  await ada.saySurely('inside xyz');
  const ben = await (await visitor()).open();
  await ben.join('abc');
  await ben.saySurely('inside abc');
  const cleo = await (await visitor()).open();
  await cleo.join('xyz');
  await cleo.seesLast('inside xyz');
  expect(await cleo.said()).toEqual(['inside xyz']);
  expect(await ben.said()).toEqual(['inside abc']);
});

test('a name with slashes and spaces is a name, and makes an address', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.create('a/b  <i>');
  await expect(ada.title).toHaveText('a/b <i>');
  await expect(ada.page).toHaveURL(/\/r\/a-b-i$/);
});

test('Escape folds the form for a new room away and goes back to what opened it', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  const opener = ada.page.locator('.sidebar summary');
  await opener.click();
  await ada.page.getByLabel('Name of the room').press('Escape');
  await expect(ada.page.getByLabel('Name of the room')).toBeHidden();
  await expect(opener).toBeFocused();
});

test('who left a room and enters it again reads all of it', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.join('harbour');
  await ada.saySurely('before');
  await ada.leave();
  await expect(ada.page).toHaveURL(`${ada.url}/`);
  await ada.page.goBack();
  await ada.page.getByRole('button', { name: 'Join' }).click();
  await ada.seesLast('before');
});

test('switching rooms keeps one socket, the draft of each room, and its messages', async ({ visitor }) => {
  const room = await (await visitor()).open();
  await room.saySurely('in the lobby');
  await room.join('workshop');
  await room.saySurely('in the workshop');
  let sockets = 0;
  room.page.on('websocket', () => sockets++);
  await room.composer.fill('a draft');
  await room.rooms.first().click();
  await expect(room.composer).toHaveValue('');
  await room.seesLast('in the lobby');
  await room.rooms.nth(1).click();
  await expect(room.composer).toHaveValue('a draft');
  await room.seesLast('in the workshop');
  expect(sockets).toBe(0);
});

test('the list of rooms in another tab follows', async ({ visitor }) => {
  const ada = await visitor();
  const first = await ada.open();
  await first.saySurely('so that there is a guest');
  const second = await ada.open();
  await first.join('harbour');
  await expect(second.rooms).toHaveCount(2);
  await expect(second.rooms.nth(1)).toContainText('harbour');
});

test('who saves a topic does not undo the name that another gave meanwhile', async ({ visitor }) => {
  const visiting = await visitor();
  const first = await visiting.open();
  await first.create('Night Sky');
  await first.go('/r/night-sky/settings');
  const second = await visiting.tab();
  await second.go('/r/night-sky/settings');
  const save = (room: typeof first) => room.page.getByRole('button', { name: 'Save' }).click();

  await second.page.getByLabel('Topic').fill('half written');
  await first.page.getByLabel('Name of the room').last().fill('Morning Sky');
  await save(first);
  await expect(first.title).toHaveText('Morning Sky');
  await expect(second.page.getByLabel('Name of the room').last()).toHaveValue('Morning Sky');
  await expect(second.page.getByLabel('Topic')).toHaveValue('half written');
  await save(second);
  await expect(second.title).toHaveText('Morning Sky');
  await first.reload();
  await expect(first.title).toHaveText('Morning Sky');
});
