/**
 * A run step by step, with a clock between: engine.js runs it, session.js shows it. Nothing of it
 * happens in other runs. What comes out of the worker is untrusted, here too.
 */
import { WasmAIError } from './errors.js';

/** @typedef {import('./wasmai.d.ts').ProfileStep} ProfileStep */

/** As many as a package may have (core/base/limits.h). */
const MOST_STEPS = 32768;
const MOST_TEXT = 200;
const now = performance.now.bind(performance); // before the lock-down removes the name

/**
 * @param {() => void} advance  runs one step more; the last one ends the run
 * @param {(index: number) => Omit<ProfileStep, 'ms'> | null} step  what it was, at the dims it had; null behind the last
 * @returns {ProfileStep[]}
 */
export function runInSteps(advance, step) {
  /** @type {number[]} */
  const times = [];
  do {
    const start = now();
    advance();
    times.push(now() - start);
  } while (times.length < MOST_STEPS && step(times.length));
  return times.flatMap((ms, index) => {
    const known = step(index);
    return known ? [{ ...known, ms }] : []; // a model may have no step at all
  });
}

/** What a worker says of a run. @param {any} steps @param {string} where @returns {readonly ProfileStep[]} */
export function checkProfile(steps, where) {
  const bad = () => new WasmAIError('INTERNAL', where, 'the worker described its steps wrongly');
  if (!Array.isArray(steps) || steps.length > MOST_STEPS) throw bad();
  const words = (/** @type {unknown} */ value) =>
    typeof value === 'string' && value.length <= MOST_TEXT;
  const figure = (/** @type {unknown} */ value) =>
    typeof value === 'number' && Number.isFinite(value) && value >= 0;
  return Object.freeze(
    Array.from(steps, (step) => {
      const { name, op, ms, readBytes, writtenBytes } = step ?? {};
      if (![name, op].every(words) || ![ms, readBytes, writtenBytes].every(figure)) throw bad();
      return Object.freeze({ name, op, ms, readBytes, writtenBytes });
    }),
  );
}
