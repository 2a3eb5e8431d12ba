// What the house shows to strangers: its policy on every page, nothing to other origins, and
// nothing of its visitors in its log.

import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { expect, test } from '../world';

for (const locale of ['en-GB', 'ar']) {
  test(`no page complains (${locale})`, async ({ visitor, request, house }) => {
    const ada = await (await visitor({ locale })).open();
    await ada.saySurely('hello');
    for (const path of ['/rooms', '/me', '/r/nobody-was-here', '/setup/wrong', '/no/such/page', '/r/lobby/settings']) {
      await ada.page.goto(ada.url + path);
      await ada.page.waitForLoadState('networkidle');
    }
    expect(await (await request.get(`${house.url}/status`)).json()).toMatchObject({ policy_reports: 0 });
  });
}

test('every page has the policy of the house and is kept by nobody', async ({ visitor }) => {
  const { page, url } = await (await visitor()).tab();
  for (const path of ['/', '/rooms', '/me', '/no/such/page']) {
    const headers = (await page.request.get(url + path)).headers();
    const policy = headers['content-security-policy'] ?? '';
    expect(policy, path).toContain("default-src 'none'");
    expect(policy, path).toContain("frame-ancestors 'none'");
    expect(policy, path).toMatch(/script-src 'nonce-[\w+/=-]{20,}' 'strict-dynamic' 'wasm-unsafe-eval'/);
    expect(headers['cache-control'], path).toContain('no-store');
    expect(headers['x-content-type-options'], path).toBe('nosniff');
    expect(headers['referrer-policy'], path).toBe('same-origin');
    expect(headers['cross-origin-opener-policy'], path).toBe('same-origin');
  }
});

test('a page of another origin can neither open the socket nor read nor write', async ({ visitor, house }) => {
  const ada = await visitor();
  ada.complaints.expect(/WebSocket connection|CORS|ERR_FAILED|status of 403|NotSameOrigin/);
  const room = await ada.open();
  await room.saySurely('only here');
  const stranger = createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end('<p>a trap'));
  await once(stranger.listen(0, '127.0.0.1'), 'listening');
  const address = stranger.address();
  const page = await ada.context.newPage();
  await page.goto(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`);
  const got = await page.evaluate(async (url) => {
    const socket = await new Promise<string>((done) => {
      const it = new WebSocket(`${url.replace('http', 'ws')}/ws`, 'wasmchannel.v1');
      it.onopen = () => done('open');
      it.onerror = () => done('refused');
    });
    const read = await fetch(url, { credentials: 'include' }).then(() => 'read', () => 'refused');
    const body = new URLSearchParams({ text: 'forged' });
    await fetch(url, { method: 'POST', body, mode: 'no-cors', credentials: 'include' }).catch(() => undefined);
    return { socket, read };
  }, house.url);
  stranger.close();
  expect(got).toEqual({ socket: 'refused', read: 'refused' });
  await room.saySurely('still only here');
  expect(await room.said()).toEqual(['only here', 'still only here']);
});

test('the log holds neither what was said nor who may say it', async ({ visitor, house }) => {
  const ada = await visitor();
  const room = await ada.open();
  await room.saySurely('canary-in-a-message');
  await room.go('/r/canary-room');
  const secret = (await ada.context.cookies())[0]?.value ?? '';
  expect(secret).not.toBe('');
  await house.stop();
  for (const word of ['canary-in-a-message', secret]) expect(house.log).not.toContain(word);
  for (const name of await readdir(house.data)) {
    const bytes = await readFile(join(house.data, name)).catch(() => Buffer.of());
    expect(bytes.includes(secret), name).toBe(false);
  }
});
