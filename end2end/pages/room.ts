// A tab of the app, by what a person sees in a room: the messages, the composer, the status
// line and the list of rooms. What a person would name, a method names.

import { expect, type Locator, type Page } from '@playwright/test';

export class RoomPage {
  constructor(
    readonly page: Page,
    readonly url: string,
    private readonly scripted = true,
  ) {}

  get messages(): Locator {
    return this.page.locator('.message');
  }

  get texts(): Locator {
    return this.page.locator('.message-text');
  }

  get composer(): Locator {
    return this.page.locator('.composer-text');
  }

  get sendButton(): Locator {
    return this.page.locator('.composer-send');
  }

  /** What is said of the connection, when something is. */
  get pill(): Locator {
    return this.page.locator('.pill:not(#app-did-not-load):visible');
  }

  get typing(): Locator {
    return this.page.locator('.typing');
  }

  get title(): Locator {
    return this.page.getByRole('heading', { level: 1 });
  }

  get rooms(): Locator {
    return this.page.locator('.sidebar-rooms ul .sidebar-item');
  }

  /** What floats over the end of the list for who reads above. */
  get newest(): Locator {
    return this.page.locator('button.float');
  }

  /** Scrolls up by so many pixels, as a reader does. */
  async readAbove(pixels: number): Promise<void> {
    await this.page.locator('.pane').evaluate((pane, pixels) => (pane.scrollTop = -pixels), pixels);
  }

  /** Hides the page as another tab would, or shows it again. */
  async hide(hidden: boolean): Promise<void> {
    await this.page.evaluate((hidden) => {
      const value = hidden ? 'hidden' : 'visible';
      Object.defineProperty(document, 'visibilityState', { value, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  }

  /** Own messages that are not stored yet. */
  get pending(): Locator {
    return this.page.locator('.message-pending');
  }

  /** Rooms of the list in which a message failed. */
  get roomsNotSent(): Locator {
    return this.rooms.filter({ hasText: 'Not sent' });
  }

  get failed(): Locator {
    return this.page.locator('.message-failed');
  }

  /** Opens an address and waits until the script took over, if there is one. */
  async go(path: string): Promise<void> {
    await this.page.goto(this.url + path);
    await this.hydrated();
  }

  async reload(): Promise<void> {
    await this.page.reload();
    await this.hydrated();
  }

  /** Loads the page anew while no server is there, and waits for the browser's own page about that. */
  async reloadInVain(): Promise<void> {
    await this.page.reload().catch(() => {});
    await this.page.waitForURL(/^chrome-error:/, { waitUntil: 'commit' });
  }

  async hydrated(): Promise<void> {
    if (!this.scripted) return;
    await expect(this.page.locator('html')).toHaveAttribute('data-hydrated', 'true');
  }

  /** Writes a message and sends it by Enter. */
  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press('Enter');
  }

  /** Writes a message, sends it, and waits until it is stored. */
  async saySurely(text: string): Promise<void> {
    await this.say(text);
    await this.seesLast(text);
    await expect(this.pending).toHaveCount(0);
  }

  async seesLast(text: string): Promise<void> {
    await expect(this.texts.last()).toHaveText(text, { useInnerText: true });
  }

  /** The messages on the screen, letter by letter. */
  async said(): Promise<string[]> {
    return this.texts.evaluateAll((elements) => elements.map((element) => element.textContent ?? ''));
  }

  /** Scrolls up until the beginning of the room is shown. The pane is reversed: its end is 0. */
  async readToTheBeginning(): Promise<void> {
    const beginning = this.page.getByText('The room begins here');
    await expect(async () => {
      await this.page.locator('.pane').evaluate((pane) => (pane.scrollTop = -pane.scrollHeight));
      await expect(beginning).toBeAttached({ timeout: 100 });
    }).toPass({ timeout: 60_000, intervals: [20] });
  }

  /** Opens the address of a room and becomes a member there. */
  async join(key: string): Promise<void> {
    await this.go(`/r/${key}`);
    await this.page.getByRole('button', { name: 'Join' }).click();
    await expect(this.composer).toBeVisible();
  }

  /** Makes a room from the list at the side, and waits until it is open. */
  async create(name: string): Promise<void> {
    await this.askForRoom(name);
    await expect(this.title).toHaveText(name);
  }

  /** Sends the form that makes a room; it may have to wait. */
  async askForRoom(name: string): Promise<void> {
    await this.page.locator('.sidebar summary').click();
    await this.page.getByLabel('Name of the room').fill(name);
    await this.page.getByRole('button', { name: 'Create', exact: true }).click();
  }

  async leave(): Promise<void> {
    await this.page.getByRole('button', { name: 'Room menu' }).click();
    await this.page.getByText('Leave room').click();
    await this.page.getByRole('button', { name: 'Leave', exact: true }).click();
  }
}

/**
 * Says texts by script, as fast as the page takes them: for tests about many messages. The page
 * cannot tell it from a person who types and presses Enter.
 */
export async function sayMany(room: RoomPage, texts: string[], pauseMs = 0): Promise<void> {
  await room.composer.evaluate(
    async (element, { texts, pauseMs }) => {
      const composer = element as HTMLTextAreaElement;
      for (const text of texts) {
        composer.value = text;
        composer.dispatchEvent(new InputEvent('input', { bubbles: true }));
        const enter = { key: 'Enter', code: 'Enter', bubbles: true, cancelable: true };
        composer.dispatchEvent(new KeyboardEvent('keydown', enter));
        await new Promise((done) => setTimeout(done, pauseMs));
      }
    },
    { texts, pauseMs },
  );
}
