// The keyboard's way through a page: the focus goes where one goes on, and takes no line away.

import { FOR_SCRIPTS } from '../house';
import { type RoomPage, sayMany } from '../pages/room';
import { expect, test } from '../world';

test('who sends by the button goes on writing', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.composer.fill('by the button');
  await ada.sendButton.click();
  await ada.seesLast('by the button');
  await expect(ada.composer).toBeFocused();
});

test('the form for a new room is unfolded with its field ready', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.page.locator('.sidebar summary').focus();
  await ada.page.keyboard.press('Enter');
  await expect(ada.page.getByLabel('Name of the room')).toBeFocused();
});

test('an empty field is refused in the words of the page', async ({ visitor }) => {
  const ada = await (await visitor()).open('/me');
  const name = ada.page.getByLabel('Your name');
  const words = ada.page.getByText('Nothing would be seen of it. Write at least one character.');
  await name.fill('');
  await ada.page.getByRole('button', { name: 'Save' }).click();
  await expect(words).toBeVisible();
  await expect(name).toBeFocused();
  await name.pressSequentially('A');
  await expect(words).toBeHidden();
});

test('a topic that is too long is kept, counted, and not sent', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await ada.create('harbour');
  await ada.go('/r/harbour/settings');
  const topic = ada.page.getByLabel('Topic');
  await topic.fill('x'.repeat(260));
  await expect(ada.page.getByText('10 characters too many')).toBeVisible();
  await ada.page.getByRole('button', { name: 'Save' }).click();
  await expect(ada.page).toHaveURL(/settings$/);
  await expect(topic).toHaveValue('x'.repeat(260));
  await topic.fill('x'.repeat(250));
  await ada.page.getByRole('button', { name: 'Save' }).click();
  await expect(ada.page).toHaveURL(/harbour$/);
});

test('more than the rate takes is counted above the composer', async ({ visitor }) => {
  const ada = await (await visitor()).open();
  await sayMany(ada, Array.from({ length: 14 }, (_, index) => `line ${index}`));
  await expect(ada.page.getByText(/messages are waiting. That was a lot in a short time/)).toBeVisible();
  await expect(ada.pending).toHaveCount(0, { timeout: 15_000 });
  await expect(ada.page.getByText('are waiting')).toBeHidden();
});

test.describe('in a long room', () => {
  test.use({ settings: FOR_SCRIPTS });

  const scrolled = (room: RoomPage) => room.page.locator('.pane').evaluate((pane) => pane.scrollTop);

  test('Tab through head, messages and foot moves no line, at the end and above it', async ({ visitor }) => {
    const ada = await (await visitor()).open();
    await sayMany(ada, Array.from({ length: 60 }, (_, index) => `line ${index}`));
    await expect(ada.pending).toHaveCount(0, { timeout: 30_000 });
    await ada.reload();
    for (const above of [0, 300]) {
      await ada.page.getByRole('heading', { level: 1 }).focus();
      await ada.readAbove(above);
      for (let stop = 0; stop < 12; stop++) {
        await ada.page.keyboard.press('Tab');
        expect(await scrolled(ada), `stop ${stop}, ${above} above the end`).toBe(0 - above);
        if (await ada.composer.evaluate((composer) => composer === document.activeElement)) break;
      }
      await expect(ada.composer).toBeFocused();
    }
    await expect(ada.newest).toBeVisible();
    await ada.newest.click();
    await expect(ada.composer).toBeFocused();
    expect(await scrolled(ada)).toBe(0);
  });

  test('PageUp, Home, PageDown and End go all their way, past the button that comes and goes', async ({ visitor }) => {
    const ada = await (await visitor()).open();
    await sayMany(ada, Array.from({ length: 60 }, (_, index) => `line ${index}`));
    await expect(ada.pending).toHaveCount(0, { timeout: 30_000 });
    const [page, all] = await ada.page.locator('.pane').evaluate((pane) => [
      pane.clientHeight,
      pane.scrollHeight - pane.clientHeight,
    ]);
    await ada.page.locator('.log').focus();
    /** Where the pane stands when a key's scroll is over, as far as it goes. */
    const after = async (key: string) => {
      await ada.page.keyboard.press(key);
      await ada.page.waitForTimeout(1_000);
      return Math.abs(Math.round(await scrolled(ada)));
    };
    const up = await after('PageUp');
    expect(up).toBeGreaterThan((page ?? 0) / 2);
    await expect(ada.newest).toBeVisible();
    expect(await after('PageDown')).toBe(0);
    await expect(ada.newest).toBeHidden();
    expect(await after('Home')).toBe(all);
    expect(await after('End')).toBe(0);
    await ada.readAbove(90);
    expect(await after('Home')).toBe(all);
    await ada.readAbove(up);
    expect(await after('End')).toBe(0);
  });
});
