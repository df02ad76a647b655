/**
 * The runs of a session that wait for their turn, in order. Inputs are copied when
 * a run is asked for, so what waits is bounded in number and in bytes.
 */
import { WasmAIError } from './errors.js';

const MAX_RUNS = 1024;
const MAX_MIB = 256;

/** @template {{ bytes: number }} Job */
export class Waiting {
  /** @type {Job[]} */
  #jobs = [];
  #bytes = 0;

  /** LIMIT unless a run with so many bytes of inputs may wait too; one may, however large. @param {number} bytes */
  admit(bytes) {
    const count = this.#jobs.length;
    const full = count >= MAX_RUNS || this.#bytes + bytes > MAX_MIB * 2 ** 20;
    if (count === 0 || !full) return;
    const mib = (this.#bytes / 2 ** 20).toFixed(1);
    throw new WasmAIError(
      'LIMIT',
      'run',
      `${count} runs with ${mib} MiB of inputs are waiting already, and at most ${MAX_RUNS} runs ` +
        `with ${MAX_MIB} MiB may: await some of them before asking for more`,
    );
  }

  /** @param {Job} job */
  push(job) {
    this.#jobs.push(job);
    this.#bytes += job.bytes;
  }

  /** The next one. @returns {Job | undefined} */
  shift() {
    const job = this.#jobs.shift();
    if (job) this.#bytes -= job.bytes;
    return job;
  }

  /** @param {Job} job */
  remove(job) {
    const at = this.#jobs.indexOf(job);
    if (at < 0) return;
    this.#jobs.splice(at, 1);
    this.#bytes -= job.bytes;
  }

  /** All of them; none waits any more. */
  drain() {
    this.#bytes = 0;
    return this.#jobs.splice(0);
  }
}
