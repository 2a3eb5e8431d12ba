// What an operator asks.

import { readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from '../world';

test('the status counts connections, and asking it changes nothing', async ({ visitor, house, request }) => {
  const status = async () => (await request.get(`${house.url}/status`)).json() as Promise<Record<string, number>>;
  expect((await status()).connections).toBe(0);
  const ada = await (await visitor()).open();
  await expect.poll(async () => (await status()).connections).toBe(1);
  await ada.page.close();
  await expect.poll(async () => (await status()).connections).toBe(0);
  expect(Object.keys(await status())).toEqual(expect.arrayContaining(['connections']));
});

test('health turns to 503 when the database is broken, and the process still answers', async ({ house, request }) => {
  for (const path of ['/healthz', '/readyz', '/health']) {
    expect((await request.get(house.url + path)).status(), path).toBe(200);
  }
  await house.stop();
  await house.start();
  const database = (await readdir(house.data)).find((name) => /\.(db|sqlite3?)$/.test(name)) ?? '';
  await truncate(join(house.data, database), 100);
  await expect.poll(async () => (await request.get(`${house.url}/health`)).status()).toBe(503);
  expect((await request.get(`${house.url}/readyz`)).status()).toBe(503);
  expect((await request.get(`${house.url}/healthz`)).status()).toBe(200);
});
