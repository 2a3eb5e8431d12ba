// Languages, directions and small screens.

import { expect, test } from '../world';

test('Arabic is drawn from right to left, in its own words and digits', async ({ visitor }) => {
  const ada = await (await visitor({ locale: 'ar' })).open();
  await expect(ada.page.locator('html')).toHaveAttribute('lang', 'ar');
  await expect(ada.page.locator('html')).toHaveAttribute('dir', 'rtl');
  await ada.saySurely('مرحبا');
  await ada.saySurely('an English line');
  const direction = (element: Element) => getComputedStyle(element).direction;
  expect(await ada.texts.first().evaluate(direction)).toBe('rtl');
  expect(await ada.texts.last().evaluate(direction)).toBe('ltr');
  await expect(ada.sendButton).toHaveAccessibleName('إرسال');
});

test('the language is a choice that stays', async ({ visitor }) => {
  const ada = await (await visitor()).open('/me');
  await expect(ada.page.locator('html')).toHaveAttribute('lang', 'en');
  await ada.page.getByRole('button', { name: 'العربية' }).click();
  await expect(ada.page.locator('html')).toHaveAttribute('lang', 'ar');
  await ada.go('/');
  await expect(ada.page.locator('html')).toHaveAttribute('dir', 'rtl');
});

test('a room has one address, in Arabic too', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.create('غرفة الشاي');
  const address = encodeURI('/r/غرفة-الشاي');
  await expect(ada.page).toHaveURL((url) => url.pathname === address);
  await ada.saySurely('شاي');

  const ben = await (await visitor()).open(address);
  await expect(ben.title).toHaveText('غرفة الشاي');
  const moved = await ben.page.request.get(`${ben.url}/r/Caf%C3%A9`, { maxRedirects: 0 });
  expect([moved.status(), moved.headers()['location']]).toEqual([308, '/r/caf%C3%A9']);
  const lobby = await ben.page.request.get(`${ben.url}/r/lobby`, { maxRedirects: 0 });
  expect([lobby.status(), lobby.headers()['location']]).toEqual([308, '/']);
});

test('times are shown in the zone of the reader', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.saySurely('what time is it');
  await ada.reload();
  const time = ada.page.locator('.message-time').last();
  const at = new Date((await time.getAttribute('datetime')) ?? '');
  const local = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short', timeZone: 'Asia/Kolkata' }).format(at);
  await expect(time).toHaveText(local);
});

for (const locale of ['en-GB', 'ar']) {
  test(`a phone of 360 px shows it all without scrolling sideways (${locale})`, async ({ visitor }) => {
    const phone = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, locale };
    const ada = await (await visitor(phone)).open();
    for (const text of ['words that go on and on '.repeat(12).trim(), 'x'.repeat(300)]) {
      await ada.composer.fill(text);
      await ada.sendButton.click();
      await ada.seesLast(text);
    }
    for (const path of ['/', '/rooms', '/me']) {
      await ada.go(path);
      const [inner, scrolled] = await ada.page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
      expect(scrolled, path).toBeLessThanOrEqual(inner ?? 0);
    }
    await ada.go('/');
    await expect(ada.composer).toBeInViewport();
    await expect(ada.sendButton).toBeInViewport();
    const button = await ada.sendButton.boundingBox();
    expect(button?.height).toBeGreaterThanOrEqual(44);
  });
}

for (const locale of ['en-GB', 'ar']) {
  test(`in a narrow window the time of a row covers no word of it (${locale})`, async ({ visitor }) => {
    const ada = await (await visitor({ viewport: { width: 360, height: 740 }, locale })).open();
    for (const text of ['first', 'x'.repeat(100), 'س'.repeat(100)]) await ada.saySurely(text);
    for (const number of [1, 2]) {
      const [row, text] = [ada.messages.nth(number), ada.texts.nth(number)];
      await text.hover();
      const time = row.locator('.message-time');
      await expect(time).toBeVisible();
      await expect(row.locator('.message-aside')).toHaveCSS('opacity', '1');
      const [covers, covered] = [await time.boundingBox(), await text.boundingBox()];
      if (covers === null || covered === null) throw new Error('nothing is drawn');
      expect(covers.x).toBeGreaterThanOrEqual(0);
      expect(covers.x + covers.width).toBeLessThanOrEqual(360);
      const apart = Math.max(covered.x - covers.x - covers.width, covers.x - covered.x - covered.width);
      expect(apart, 'beside the text, and its bar').toBeGreaterThanOrEqual(10);
    }
  });
}
