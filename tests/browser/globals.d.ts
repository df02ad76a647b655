// What the test page (browser.mjs) puts on its window.
declare const wasmai: typeof import('../../web/wasmai.d.ts');
declare function caught(promise: Promise<unknown>): Promise<any>;
interface Window {
  violations: string[];
  workers: Worker[];
  session: any;
}
