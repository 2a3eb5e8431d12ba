// Each test starts a server of its own, and the machine may have two cores: one test at a time,
// and beside it one of those that wait (for a lease, for a server that is away) and need no core.
// The browser is the machine's Chromium: CHROMIUM names it, and nothing is downloaded.

import { defineConfig } from '@playwright/test';

const waiting = /(away|cache|connection|news|outbox)\.spec\.ts/;

export default defineConfig({
  testDir: 'tests',
  timeout: 60_000,
  expect: { timeout: 10_000 },
  workers: 2,
  fullyParallel: false,
  projects: [
    { name: 'chat', workers: 1, testIgnore: waiting },
    { name: 'waiting', workers: 1, testMatch: waiting },
  ],
  forbidOnly: Boolean(process.env.CI),
  retries: 0,
  reporter: 'list',
  use: {
    browserName: 'chromium',
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    timezoneId: 'Asia/Kolkata',
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? 'chromium',
      args: [
        '--no-sandbox',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--no-first-run',
      ],
    },
  },
});
