// What a browser complains of: errors on the console, errors of the page, breaches of the
// content security policy. A test fails on any, but those that it said it would cause.

import type { BrowserContext, ConsoleMessage, Page } from '@playwright/test';

/** Chromium's own line for a document that was answered with 404 or 422. */
const DOCUMENT = /the server responded with a status of (404|422)/;
/** Chromium's own lines while a server is away. */
const NETWORK =
  /WebSocket connection to .* failed|net::ERR_(CONNECTION|EMPTY|FAILED|INCOMPLETE|INTERNET|NETWORK|SOCKET)/;

export class Complaints {
  readonly list: string[] = [];
  private readonly expected: RegExp[] = [DOCUMENT];

  /** Watches every page that the context opens. */
  async watch(context: BrowserContext): Promise<void> {
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    context.on('page', (page) => this.watchPage(page));
  }

  expect(pattern: RegExp): void {
    this.expected.push(pattern);
  }

  /** From now on the network may be away. */
  expectNetwork(): void {
    this.expect(NETWORK);
  }

  unexpected(): string[] {
    return this.list.filter((line) => !this.expected.some((pattern) => pattern.test(line)));
  }

  private watchPage(page: Page): void {
    page.on('console', (message: ConsoleMessage) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        this.list.push(`${page.url()}: ${message.text()} (${message.location().url})`);
      }
    });
    page.on('pageerror', (error) => this.list.push(`${page.url()}: ${error.message}`));
  }
}
