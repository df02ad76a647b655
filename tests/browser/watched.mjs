/// <reference path="./globals.d.ts" />
// A page that keeps a record of its workers, and lets a test act when one is asked for something.
import { makeSite, openPage } from './browser.mjs';

/** @param {any} t @param {any} browser @param {Parameters<typeof makeSite>[0]} options */
export async function watched(t, browser, options) {
  const site = await makeSite(options);
  t.after(() => site.close());
  const opened = await openPage(browser, site);
  t.after(() => opened.close());
  await opened.page.evaluate(watchWorkers);
  return { site, ...opened };
}

function watchWorkers() {
  const Native = window.Worker;
  window.workers = [];
  window.Worker = class extends Native {
    constructor(url, given) {
      super(url, given);
      Object.assign(this, { asked: [], ended: false });
      window.workers.push(this);
    }
    postMessage(message, transfer) {
      this.asked.push(message.op);
      window.onAsk?.(message);
      super.postMessage(message, transfer);
      window.onAsked?.(message);
    }
    terminate() {
      this.ended = true;
      super.terminate();
    }
  };
  window.until = async (holds) => {
    const end = performance.now() + 60000;
    while (!holds()) {
      if (performance.now() > end) throw new Error(`never came: ${holds}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
}
