// What the test page (browser.mjs) puts on its window.
declare const wasmai: typeof import('../../web/wasmai.d.ts');
/** An error as plain data; null, which no test expects, where there is none. */
declare function caught(promise: Promise<unknown>): Promise<{
  isOurs: boolean;
  code: import('../../web/wasmai.d.ts').ErrorCode;
  where: string;
  message: string;
}>;
// What watched.mjs puts there.
interface Worker {
  asked: string[];
  ended: boolean;
}
declare const workers: Worker[];
declare function until(holds: () => boolean): Promise<void>;
// What recovery.test.mjs puts there.
declare function x(...four: number[]): { x: Float32Array };
declare function reserved(): Promise<void>;
// What threads.test.mjs puts there.
declare function digit(seed: number): { image: Float32Array };
declare function answers(
  session: import('../../web/wasmai.d.ts').Session,
  runs: number,
): Promise<number[]>;
declare function helpers(): Worker[];
interface Window {
  digit: typeof digit;
  answers: typeof answers;
  helpers: typeof helpers;
  violations: string[];
  workers: Worker[];
  trustedTypes: { createPolicy(name: string, rules: object): object };
  x: typeof x;
  until: typeof until;
  reserved: typeof reserved;
  /** Before a worker is asked, and behind that. */
  onAsk?: (message: { op: string; pages: number }) => void;
  onAsked?: (message: { op: string }) => void;
  stopper: AbortController;
  running: ReturnType<typeof caught>;
  seen: { asked: string[]; sent: Uint8Array[]; received: Uint8Array[] };
  session: import('../../web/wasmai.d.ts').Session;
  poured: { op: string; at: number; bytes: Uint8Array }[];
}
