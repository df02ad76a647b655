// What the long commands (bench, soak) have in common: a report as a file, and how they end.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WasmAIError } from '../web/errors.js';

/** @param {string} output @param {object} report */
export async function writeReport(output, report) {
  await mkdir(dirname(output), { recursive: true });
  await writeFile(output, `${JSON.stringify(report, null, 2)}\n`);
}

/** Bad input is a sentence and exit code 1. @param {() => Promise<number>} main gives the exit code */
export async function runCampaign(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof WasmAIError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = 1;
  }
}
