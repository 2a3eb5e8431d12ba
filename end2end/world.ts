// The world of a test: a house, and visitors who each come with a browser of their own. A
// visitor's complaints fail the test that he was in.

import { type BrowserContext, type BrowserContextOptions, expect, test as base } from '@playwright/test';

import { Complaints } from './complaints';
import { House } from './house';
import { RoomPage } from './pages/room';
import { Street } from './street';

export { expect };

/** A browser with its own cookies, storage and complaints. */
export class Visitor {
  constructor(
    readonly context: BrowserContext,
    readonly url: string,
    readonly complaints: Complaints,
    private readonly scripted: boolean,
  ) {}

  /** Opens a page in a new tab; with a script, waits until it took over. */
  async open(path = '/'): Promise<RoomPage> {
    const room = await this.tab();
    await room.go(path);
    return room;
  }

  /** A new tab that shows nothing yet. */
  async tab(): Promise<RoomPage> {
    return new RoomPage(await this.context.newPage(), this.url, this.scripted);
  }
}

interface World {
  /** Settings of the house, to be given by `test.use`. */
  settings: Record<string, string>;
  house: House;
  /** Makes a visitor; by way of a street where one is given. */
  visitor: (options?: BrowserContextOptions, street?: Street) => Promise<Visitor>;
  street: Street;
}

export const test = base.extend<World>({
  settings: [{}, { option: true }],

  house: async ({ settings }, use) => {
    const house = await House.open(settings);
    await use(house);
    await house.close();
  },

  street: async ({ house }, use) => {
    const street = await Street.open(house.port);
    await use(street);
    street.close();
  },

  visitor: async ({ browser, house }, use) => {
    const visitors: Visitor[] = [];
    await use(async (options, street) => {
      const context = await browser.newContext(options);
      const complaints = new Complaints();
      await complaints.watch(context);
      if (street !== undefined) complaints.expectNetwork();
      const visitor = new Visitor(context, (street ?? house).url, complaints, options?.javaScriptEnabled !== false);
      visitors.push(visitor);
      return visitor;
    });
    for (const visitor of visitors) {
      await visitor.context.close();
      if (house.disturbed) visitor.complaints.expectNetwork();
      expect(visitor.complaints.unexpected(), 'what the browser complained of').toEqual([]);
    }
  },
});
