// A text that is being written belongs to its tab, and outlives whatever ends the page.

import { expect, test } from '../world';

test('two tabs write two texts, and a reload keeps each', async ({ visitor }) => {
  const ada = await visitor();
  const first = await ada.open();
  await first.composer.fill('written in the first');
  const second = await ada.open();
  await expect(second.composer).toHaveValue('');
  await second.composer.fill('written in the second');
  await first.reload();
  await expect(first.composer).toHaveValue('written in the first');
  await second.reload();
  await expect(second.composer).toHaveValue('written in the second');
});

test('what waits in one tab is not taken up by another', async ({ visitor, street }) => {
  const ada = await visitor({}, street);
  const first = await ada.open();
  await first.saySurely('so that there is a guest');
  street.hold();
  await first.say('on its way');
  await expect(first.pending).toHaveCount(1);
  street.release();
  const second = await ada.open();
  await expect(second.composer).toHaveValue('');
  await second.seesLast('on its way');
});

test('a tab that is duplicated begins with nothing', async ({ visitor }) => {
  const ada = await visitor();
  const first = await ada.open();
  await first.composer.fill('only here');
  const [copy] = await Promise.all([
    ada.context.waitForEvent('page'),
    first.page.evaluate(() => void window.open(location.href)),
  ]);
  await expect(copy.locator('html')).toHaveAttribute('data-hydrated', 'true');
  await expect(copy.locator('.composer-text')).toHaveValue('');
  await expect(first.composer).toHaveValue('only here');
});

test('what a crashed tab kept is offered by the next one, once', async ({ visitor }) => {
  const ada = await visitor();
  const crashed = await ada.open();
  await crashed.composer.fill('not lost');
  const crash = crashed.page.waitForEvent('crash');
  void crashed.page.goto('chrome://crash').catch(() => {});
  await crash;
  const next = await ada.open();
  await expect(next.composer).toHaveValue('not lost');
  await next.saySurely('not lost');
  const last = await ada.open();
  await expect(last.composer).toHaveValue('');
});
