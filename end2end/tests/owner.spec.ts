// The one way to become the owner of a server.

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from '../world';

test('the setup link makes its visitor the owner, once, and is never logged', async ({ visitor, house }) => {
  const link = (await house.command('setup-link')).trim();
  const path = new URL(link.split(/\s+/).at(-1) ?? '').pathname;
  expect(path).toMatch(/^\/setup\/[\w-]{22,}$/);
  const token = join(house.data, 'setup-token');
  expect((await stat(token)).mode & 0o777).toBe(0o600);
  expect(path).toContain((await readFile(token, 'utf8')).trim());
  const printed = house.log.split(path).length;

  const ada = await (await visitor()).open(path);
  await ada.page.getByRole('button', { name: 'Become the owner' }).click();
  await ada.page.waitForURL('**/');
  await expect(ada.page.locator('.self-kind')).toHaveText('Owner');

  const ben = await (await visitor()).open(path);
  await expect(ben.page.getByRole('button', { name: 'Become the owner' })).toHaveCount(0);
  await expect(stat(token)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(house.log.split(path).length).toBe(printed);
});

test('a wrong token is as good as none', async ({ visitor }) => {
  const ada = await (await visitor()).open('/setup/0000000000000000000000');
  await expect(ada.page.getByRole('button', { name: 'Become the owner' })).toHaveCount(0);
});
