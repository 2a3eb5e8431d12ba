// People talk: what one says the other reads, at once and letter by letter.

import { expect, test } from '../world';

test('two browsers talk, and the second has a message within 200 ms', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('good morning');
  await ben.seesLast('good morning');

  const arrival = ben.page.evaluate(
    () =>
      new Promise<number>((seen) => {
        const look = new MutationObserver(() => {
          const texts = document.querySelectorAll('.message-text');
          if (texts[texts.length - 1]?.textContent === 'stop the clock') seen(Date.now());
        });
        look.observe(document.body, { childList: true, subtree: true, characterData: true });
      }),
  );
  await ada.composer.fill('stop the clock');
  const departure = ada.page.evaluate(
    () => new Promise<number>((sent) => addEventListener('keydown', () => sent(Date.now()), { once: true, capture: true })),
  );
  await ada.composer.press('Enter');
  expect((await arrival) - (await departure)).toBeLessThan(200);

  await ben.saySurely('good morning to you');
  await ada.seesLast('good morning to you');
});

test('a message stands in the list in the next frame, and keeps its element', async ({ visitor, house, street }) => {
  const ada = await (await visitor({}, street)).open();
  await ada.saySurely('so that there is a guest');
  street.hold();
  await ada.composer.fill('at once');
  const shown = await ada.composer.evaluate(
    (composer) =>
      new Promise<string | undefined>((done) => {
        const enter = { key: 'Enter', code: 'Enter', bubbles: true, cancelable: true };
        composer.dispatchEvent(new KeyboardEvent('keydown', enter));
        requestAnimationFrame(() => {
          const last = [...document.querySelectorAll('.message')].at(-1);
          last?.setAttribute('title', 'the same element');
          done(last?.querySelector('.message-text')?.textContent ?? undefined);
        });
      }),
  );
  expect(shown).toBe('at once');
  await expect(ada.pending).toHaveCount(1);
  const before = await ada.messages.last().boundingBox();
  street.release();
  await expect(ada.pending).toHaveCount(0);
  await expect(ada.messages.last()).toHaveAttribute('title', 'the same element');
  expect(await ada.messages.last().boundingBox()).toEqual(before);
  expect(house.disturbed).toBe(false);
});

test('text is text, live and after a reload', async ({ visitor }) => {
  const texts = ['<img src=x onerror=alert(1)>', '{"text":{"a":1}}', 'null', '5', '</script><b>&amp;</b>'];
  const ada = await (await visitor()).open();
  const ben = await (await visitor()).open();
  for (const text of texts) await ada.saySurely(text);
  await ben.seesLast(texts.at(-1) ?? '');
  for (const room of [ada, ben]) {
    expect(await room.said()).toEqual(texts);
    await room.reload();
    expect(await room.said()).toEqual(texts);
  }
});

test('Enter sends, Shift+Enter makes a line, and the Enter of an input method does not send', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.composer.fill('one');
  await ada.composer.press('Shift+Enter');
  await ada.composer.pressSequentially('two');
  await ada.composer.press('Enter');
  await ada.seesLast('one\ntwo');
  await expect(ada.composer).toHaveValue('');

  await ada.composer.fill('かな');
  await ada.composer.evaluate((composer) => {
    for (const kind of [{ isComposing: true }, { keyCode: 229 }]) {
      composer.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...kind }));
    }
  });
  await expect(ada.composer).toHaveValue('かな');
  expect(await ada.said()).toEqual(['one\ntwo']);
});

test('a message alone on its lines of space is not sent', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.say('  \n ');
  await ada.saySurely('words');
  expect(await ada.said()).toEqual(['words']);
});

test('somebody who writes is shown to the others, and not when he stops', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('hello');
  await ben.saySurely('hello back');
  await ada.composer.pressSequentially('let me think');
  await expect(ben.typing).toContainText('is typing');
  await expect(ada.typing).toBeHidden();
  await expect(ben.typing).toBeHidden({ timeout: 8_000 });
});

test('a text of which nothing would be seen stays in the composer, which says so', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.say('\u200b\u2060\u0301');
  const words = ada.page.getByText('Nothing would be seen of it');
  await expect(words).toBeVisible();
  await expect(ada.composer).toHaveValue('\u200b\u2060\u0301');
  await expect(ada.messages).toHaveCount(0);
  await ada.saySurely('seen');
  await expect(words).toBeHidden();
});

test.describe('with the limit set to 256', () => {
  test.use({ settings: { WASMCHANNEL_LIMITS_TEXT_CHARS: '256' } });

  test('the 257th character is refused, and what was written stays', async ({ visitor }) => {
    const ada = await (await visitor()).open();
    await ada.saySurely('é'.repeat(256));
    await ada.composer.fill('é'.repeat(257));
    await expect(ada.page.locator('.composer-count')).toHaveText('1 character too many');
    await ada.composer.press('Enter');
    await expect(ada.composer).toHaveValue('é'.repeat(257));
    await ada.composer.press('Backspace');
    await ada.composer.press('Enter');
    await expect(ada.texts).toHaveCount(2);
  });

  test('without a script the page says so, and keeps what was written', async ({ visitor }) => {
    const plain = await (await visitor({ javaScriptEnabled: false })).open();
    await plain.composer.fill('x'.repeat(257));
    const answer = plain.page.waitForResponse((response) => response.request().method() === 'POST');
    await plain.sendButton.click();
    expect((await answer).status()).toBe(422);
    await expect(plain.composer).toHaveValue('x'.repeat(257));
    await expect(plain.page.getByText('at most 256 characters')).toBeVisible();
  });
});
