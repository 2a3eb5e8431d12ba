// The network goes and comes back; nobody reloads, and nothing is lost or said twice.

import { setTimeout as sleep } from 'node:timers/promises';

import { FOR_SCRIPTS } from '../house';
import { sayMany } from '../pages/room';
import { expect, test } from '../world';

test('the state is shown between two and three seconds after a close', async ({ visitor, house }) => {
  const ada = await (await visitor()).open();
  await ada.saySurely('still readable');
  await house.stop('SIGKILL');
  const closed = Date.now();
  await sleep(1_800);
  await expect(ada.pill).toBeHidden();
  await expect(ada.pill).toContainText('Reconnecting', { timeout: 1_200 });
  expect(Date.now() - closed).toBeLessThan(3_000);
  expect(await ada.said()).toEqual(['still readable']);
  await expect(ada.composer).toBeEditable();
});

test('without a network the state is shown as soon, and goes when it is back', async ({ visitor }) => {
  const visiting = await visitor();
  visiting.complaints.expectNetwork();
  const ada = await visiting.open();
  await ada.saySurely('still readable');
  await visiting.context.setOffline(true);
  await sleep(1_800);
  await expect(ada.pill).toBeHidden();
  await expect(ada.pill).toContainText('Offline', { timeout: 1_200 });
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

test('Retry now connects at once', async ({ visitor, house }) => {
  const ada = await (await visitor()).open();
  await ada.saySurely('here');
  await house.stop('SIGKILL');
  await sleep(6_000);
  await house.start();
  const retry = ada.pill.getByRole('button', { name: 'Retry now' });
  if (await retry.isVisible()) await retry.click();
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
