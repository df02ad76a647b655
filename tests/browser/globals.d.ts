// What the test page (browser.mjs) puts on its window.
declare const wasmai: typeof import('../../web/wasmai.d.ts');
/** An error as plain data; null, which no test expects, where there is none. */
declare function caught(promise: Promise<unknown>): Promise<{
  isOurs: boolean;
  code: import('../../web/wasmai.d.ts').ErrorCode;
  where: string;
  message: string;
}>;
interface Window {
  violations: string[];
  workers: Worker[];
  trustedTypes: { createPolicy(name: string, rules: object): object };
  session: import('../../web/wasmai.d.ts').Session;
}
