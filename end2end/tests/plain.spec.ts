// Without a script the house is pages and forms; before the script has come, it is both.

import { expect, test, type Visitor } from '../world';

test('reading and sending work without a script', async ({ visitor }) => {
  const plain = await (await visitor({ javaScriptEnabled: false })).open();
  const ben = await (await visitor()).open();
  await ben.saySurely('from a script');
  await plain.composer.fill('two\nlines');
  const answer = plain.page.waitForResponse((response) => response.request().method() === 'POST');
  await plain.sendButton.click();
  expect((await answer).status()).toBe(303);
  expect(await plain.said()).toEqual(['from a script', 'two\nlines']);
  await expect(plain.composer).toHaveValue('');
  await ben.seesLast('two\nlines');
});

test('a form that is sent twice has one effect', async ({ visitor }) => {
  const visiting = await visitor({ javaScriptEnabled: false });
  const plain = await visiting.open();
  await plain.composer.fill('so that there is a guest');
  await plain.sendButton.click();
  const op = await plain.page.locator('.composer input[name=op]').inputValue();
  const form = { text: 'once', op };
  for (let time = 0; time < 3; time++) {
    const options = { form, headers: { Origin: plain.url }, maxRedirects: 0 };
    expect((await visiting.context.request.post(plain.url, options)).status()).toBe(303);
  }
  await plain.go('/');
  expect(await plain.said()).toEqual(['so that there is a guest', 'once']);
});

test('a refused text stands in the page again, letter by letter', async ({ visitor, house }) => {
  const nasty = `</textarea><img src=x onerror=alert(1)>${'x'.repeat(10_000)}`;
  const plain = await (await visitor({ javaScriptEnabled: false })).open();
  await plain.composer.fill(nasty);
  const answer = plain.page.waitForResponse((response) => response.request().method() === 'POST');
  await plain.sendButton.click();
  expect((await answer).status()).toBe(422);
  await expect(plain.composer).toHaveValue(nasty);
  await expect(plain.page.locator('img[src=x]')).toHaveCount(0);
  expect(house.disturbed).toBe(false);
});

test('text typed before the script has come is kept', async ({ visitor }) => {
  const { room, release } = await early(visitor);
  await room.composer.fill('typed early');
  release();
  await room.hydrated();
  await expect(room.composer).toHaveValue('typed early');
  await room.composer.press('Enter');
  await room.seesLast('typed early');
});

test('Enter pressed before the script has come sends, once', async ({ visitor }) => {
  const { room, release } = await early(visitor);
  await room.composer.fill('sent early');
  await room.composer.press('Enter');
  expect(await room.said()).toEqual([]);
  release();
  await room.seesLast('sent early');
  await expect(room.pending).toHaveCount(0);
  await expect(room.composer).toHaveValue('');
  await room.reload();
  expect(await room.said()).toEqual(['sent early']);
});

test('what an early Enter took is seen to wait, and is sent by who goes before the script has come', async ({ visitor }) => {
  const { room, release } = await early(visitor);
  for (const text of ['first', 'second']) {
    await room.composer.fill(text);
    await room.composer.press('Enter');
  }
  const waits = () =>
    room.page.locator('.composer').evaluate((form) => getComputedStyle(form, '::before').content);
  expect(await waits()).toBe('"first\\a second"');
  expect((await room.composer.boundingBox())?.width).toBeGreaterThan(500);
  await room.page.goto(`${room.url}/health`);
  release();
  await room.go('/');
  await room.seesLast('first\nsecond');
  expect(await waits()).toBe('none');
  await room.reload();
  expect(await room.said()).toEqual(['first\nsecond']);
});

test('what an early Enter took is posted by Send with what was typed since, before the script has come', async ({ visitor }) => {
  const { room, release } = await early(visitor);
  for (const [text, next] of [['first', 'second'], ['third', '']]) {
    await room.composer.fill(text);
    await room.composer.press('Enter');
    await room.composer.fill(next);
    const answer = room.page.waitForResponse((response) => response.request().method() === 'POST');
    await room.sendButton.click();
    expect((await answer).status()).toBe(303);
    await room.seesLast(`${text}\n${next}`.trim());
  }
  release();
  await room.hydrated();
  await room.reload();
  expect(await room.said()).toEqual(['first\nsecond', 'third']);
});

test('what an early Enter took goes on waiting where the browser does not send it for who goes', async ({ visitor }) => {
  const { room, release } = await early(visitor);
  await room.composer.fill('sent early');
  await room.composer.press('Enter');
  await room.page.evaluate(() => {
    navigator.sendBeacon = () => false;
    dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
  });
  release();
  await room.seesLast('sent early');
  await expect(room.pending).toHaveCount(0);
});

test('what is being posted when the script comes is neither a draft nor sent again', async ({ visitor }) => {
  const { ada, room, release } = await early(visitor);
  let answer = () => {};
  const answered = new Promise<void>((done) => (answer = done));
  await ada.context.route(room.url, async (route) => {
    if (route.request().method() === 'POST') await answered;
    await route.continue();
  });
  await room.page.exposeFunction('pressed', () => answer());
  await room.composer.fill('once');
  // By a script of the page: while a page is under way the browser's driver waits for it.
  await room.composer.evaluate((area) => {
    const wait = setInterval(() => {
      if (!document.documentElement.dataset.hydrated) return;
      clearInterval(wait);
      area.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
      setTimeout(() => (window as unknown as { pressed: () => void }).pressed(), 300);
    }, 20);
  });
  await room.sendButton.click({ noWaitAfter: true });
  release();
  await expect(room.composer).toHaveValue('');
  await room.seesLast('once');
  await expect(room.composer).toHaveValue('');
  expect(await room.said()).toEqual(['once']);
});

test('what is typed after an early Enter is the next text', async ({ visitor }) => {
  const { room, release } = await early(visitor);
  for (const text of ['first', 'second']) {
    await room.composer.pressSequentially(text);
    await room.composer.press('Enter');
  }
  await room.composer.pressSequentially('not yet');
  release();
  await room.seesLast('second');
  await expect(room.composer).toHaveValue('not yet');
  expect(await room.said()).toEqual(['first', 'second']);
});

test('where the app does not load, what an early Enter took is sent as a form', async ({ visitor }) => {
  const { ada, room, release } = await early(visitor, false);
  ada.complaints.expect(/\.wasm|net::ERR_FAILED|Failed to fetch/);
  await room.composer.fill('sent early');
  await room.composer.press('Enter');
  release();
  await room.seesLast('sent early');
});

test('where the app does not load the page says so, and Retry brings it', async ({ visitor }) => {
  const ada = await visitor();
  ada.complaints.expect(/\.wasm|net::ERR_FAILED|Failed to fetch/);
  await ada.context.route('**/*.wasm', (route) => route.abort());
  const room = await ada.tab();
  await room.page.goto(room.url);
  await expect(room.page.getByText('The app did not load')).toBeVisible();
  await room.composer.fill('without the app');
  await room.sendButton.click();
  await room.seesLast('without the app');
  await ada.context.unroute('**/*.wasm');
  await room.page.getByRole('link', { name: 'Retry' }).or(room.page.getByRole('button', { name: 'Retry' })).click();
  await room.hydrated();
  await room.saySurely('with the app');
});

/** A page before the script has come: the WASM is held back until it is released, and then comes, or not. */
async function early(visitor: () => Promise<Visitor>, comes = true) {
  const ada = await visitor();
  let release = () => {};
  const released = new Promise<void>((done) => (release = done));
  await ada.context.route('**/*.wasm', (route) => void released.then(() => (comes ? route.continue() : route.abort())));
  const room = await ada.tab();
  await room.page.goto(room.url);
  return { ada, room, release: () => release() };
}
