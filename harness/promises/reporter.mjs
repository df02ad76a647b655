// A reporter for node:test: one line of JSON for each test that ended, in the file RESULTS. Written at once:
// what the runner writes to a destination can be cut off at its end.
import { appendFileSync } from 'node:fs';

/** An error of ours that reached the test, from here or out of a page. */
const OURS = /^(Error: page\.evaluate: )?WasmAIError: /;

/** @param {AsyncIterable<{ type: string, data: any }>} source */
export default async function* report(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite') continue;
    const { error } = data.details ?? {};
    const cause = error?.cause ?? error;
    const skipped = data.skip !== undefined || data.todo !== undefined;
    const line = JSON.stringify({
      name: data.name,
      outcome: type === 'test:fail' ? 'failed' : skipped ? 'skipped' : 'passed',
      asserted: cause?.code === 'ERR_ASSERTION' || OURS.test(String(cause)),
      why: type === 'test:fail' ? String(cause?.message ?? cause) : '',
    });
    appendFileSync(String(process.env.RESULTS), `${line}\n`);
    yield '';
  }
}
