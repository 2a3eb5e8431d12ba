// What browsers and their machines do to a page: they sleep, fill up, go away and come back, and
// their clocks are wrong.

import { expect, test } from '../world';

test('a page that slept while its network went has what was said meanwhile, once', async ({ visitor, street }) => {
  const ada = await (await visitor({}, street)).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('before');
  const session = await ada.page.context().newCDPSession(ada.page);
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  street.cut();
  for (const text of ['1', '2', '3']) await ben.saySurely(text);
  street.mend();
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  const all = ['before', '1', '2', '3'];
  await expect.poll(() => ada.said(), { timeout: 35_000 }).toEqual(all);
  await ada.saySurely('awake');
  await expect.poll(() => ben.said()).toEqual([...all, 'awake']);
});

test('a browser whose disk is full says so, and sends as ever', async ({ visitor, house }) => {
  const visiting = await visitor();
  await visiting.context.addInitScript(() => {
    const { put, add } = IDBObjectStore.prototype;
    const full = (write: typeof put) =>
      function (this: IDBObjectStore, ...row: Parameters<typeof put>) {
        const request = write.apply(this, row);
        this.transaction.abort();
        return request;
      };
    Object.assign(IDBObjectStore.prototype, { put: full(put), add: full(add) });
  });
  const ada = await visiting.open();
  await ada.saySurely('before');
  await house.stop();
  for (const text of ['1', '2']) await ada.say(text);
  await expect(ada.pending).toHaveCount(2);
  await expect(ada.page.locator('.status-waiting')).toContainText('Leave this page open');
  await house.start();
  await expect(ada.pending).toHaveCount(0, { timeout: 35_000 });
  await ada.reload();
  expect(await ada.said()).toEqual(['before', '1', '2']);
});

test('who goes away in the middle of sending and comes back by Back finds it once', async ({ visitor, street }) => {
  const ada = await (await visitor({}, street)).open();
  const ben = await (await visitor()).open();
  await ada.saySurely('before');
  street.hold();
  await ada.say('on the way');
  await ben.seesLast('on the way');
  street.cut();
  street.release();
  street.mend();
  await ada.page.goto('about:blank');
  await ben.saySurely('meanwhile');
  await ada.page.goBack();
  await ada.hydrated();
  await expect.poll(() => ada.said()).toEqual(['before', 'on the way', 'meanwhile']);
  await expect(ada.pending).toHaveCount(0);
  await ada.saySurely('back');
  expect(await ben.said()).toEqual(['before', 'on the way', 'meanwhile', 'back']);
});

for (const year of [2016, 2036]) {
  test(`a clock that stands in ${year} changes neither order nor times`, async ({ visitor, house }) => {
    const visiting = await visitor();
    await visiting.context.addInitScript((now) => {
      const ahead = now - Date.now();
      const real = Date.now.bind(Date);
      Date.now = () => real() + ahead;
    }, Date.UTC(year, 5, 1));
    const ada = await visiting.open();
    const ben = await (await visitor()).open();
    await ben.saySurely('1');
    await ada.saySurely('2');
    await house.stop();
    await ada.say('3');
    await ada.reloadInVain();
    await house.start();
    await ada.go('/');
    await expect.poll(() => ben.said(), { timeout: 35_000 }).toEqual(['1', '2', '3']);
    await expect.poll(() => ada.said()).toEqual(['1', '2', '3']);
    const stated = await ada.page.locator('.message time').evaluateAll((times) => times.map((time) => time.getAttribute('datetime')));
    for (const time of stated) expect(new Date(time ?? '').getFullYear()).toBe(new Date().getFullYear());
  });
}
