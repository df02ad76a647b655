/**
 * A session: one model, its queue of runs, and what happens when a run fails.
 * A runner that trapped, or was stopped in the middle, is thrown away and a new
 * one is made from the kept bytes, so that the next run succeeds.
 */
import { closestName, WasmAIError } from './errors.js';
import { runBudget } from './fuel.js';
import { readGolden, testGolden } from './golden.js';
import { describeTensors, makeReceipt } from './receipt.js';
import { abortedError } from './rpc.js';
import { answersToOutputs, carryIndices, feedsToBuffers, outputIndices } from './tensors.js';
import { peakBytes } from './threads.js';
import { Waiting } from './waiting.js';

/** @typedef {import('./wasmai.d.ts').RunOptions} RunOptions */
/** @typedef {import('./wasmai.d.ts').SessionInfo} SessionInfo */
/** @typedef {import('./runners.js').Parts} Parts */
/** @typedef {import('./runners.js').Runner} Runner */
/** @typedef {import('./runners.js').StartRunner} StartRunner */

/**
 * @typedef {object} Job
 * @property {import('./engine.js').Request} request
 * @property {number} number  in order of asking, from 1
 * @property {number} bytes   of its inputs
 * @property {number} takes   number of the job whose carry it needs, 0: none
 * @property {(done: Done) => void} resolve
 * @property {(error: WasmAIError) => void} reject
 * @property {() => void} tidy   removes timer and listener
 * @property {boolean} settled
 */

/** @typedef {{ outputs: Record<string, import('./tensors.js').Tensor>, answer: import('./runners.js').Answer }} Done */

const RUN_OPTIONS = ['carry', 'outputs', 'signal', 'deadlineMs', 'maxFuel', 'receipt', 'profile'];

const dropped = new FinalizationRegistry((/** @type {string} */ where) => {
  console.warn(
    `WasmAI: a session of ${where} was dropped without close(); its memory is held until the page ends`,
  );
});

export class Session {
  /** @type {Waiting<Job>} */
  #waiting = new Waiting();
  #admit = (/** @type {number} */ bytes) => this.#waiting.admit(bytes);
  /** @type {Job | null} */
  #active = null;
  /** @type {Runner | null} the one that is executing #active right now */
  #running = null;
  /** The last job that was asked for, and the inputs that it promises to the next one.
   * @type {{ number: number, inputs: Set<number> }} */
  #promise = { number: 0, inputs: new Set() };
  #asked = 0;
  /** Number of the job whose carry is in the runner's memory now, 0: none. */
  #held = 0;
  /** @type {Promise<Runner> | null} */
  #runner;
  #closed = false;
  #closing = new AbortController();
  #parts;
  #start;
  #reserve;
  #facts;
  #runs = 0;
  /** @type {number | null} */
  #lastMs = null;
  /** @type {number | null} */
  #fuel = null;
  #memoryBytes;
  #metered;
  #golden;
  #head;
  /** @type {WeakMap<object, import('./wasmai.d.ts').Receipt>} by outputs */
  #receipts = new WeakMap();
  /** @type {WeakMap<object, import('./wasmai.d.ts').Profile>} by outputs */
  #profiles = new WeakMap();

  /**
   * @param {{ runner: Runner, start: StartRunner, parts: Parts, reserve: import('./reserve.js').Member | null,
   *   facts: Pick<SessionInfo, 'variant' | 'variantReason' | 'deterministic' | 'isolation' | 'hardened' | 'certificate' | 'signature'>,
   *   golden: Uint8Array | null, head: string }} opened
   */
  constructor({ runner, start, parts, reserve, facts, golden, head }) {
    this.inputs = runner.inputs;
    this.outputs = runner.outputs;
    this.#runner = Promise.resolve(runner);
    this.#memoryBytes = runner.memoryBytes;
    this.#metered = runner.metered;
    this.#parts = parts;
    this.#start = start;
    this.#reserve = reserve;
    this.#facts = facts;
    this.#golden = golden;
    this.#head = head;
    dropped.register(this, parts.where, this);
  }

  /** @returns {SessionInfo} */
  get info() {
    return Object.freeze({
      ...this.#facts,
      threads: this.#parts.threads.count,
      threadsReason: this.#parts.threads.why,
      peakBytes: peakBytes(this.#facts.certificate, this.#parts.threads.count),
      memoryBytes: this.#memoryBytes,
      runs: this.#runs,
      lastMs: this.#lastMs,
      metered: this.#metered,
      fuel: this.#fuel,
    });
  }

  /**
   * One inference. Calls queue; inputs are copied at once.
   * @param {Record<string, any>} feeds @param {RunOptions} [options]
   */
  async run(feeds, options = {}) {
    const { carry = {}, outputs, maxFuel, receipt, profile } = this.#checkRun(options);
    const request = {
      wanted: outputIndices(this.outputs, outputs),
      carry: carryIndices(this.inputs, this.outputs, carry),
      feeds: feedsToBuffers(this.inputs, feeds, this.#promise.inputs, this.#admit),
      fuel: maxFuel ?? runBudget(this.#facts.certificate.fuel),
      shown: receipt === true,
      profile: profile === true,
    };
    const number = ++this.#asked;
    const takes = request.feeds.includes(null) ? this.#promise.number : 0;
    this.#promise = { number, inputs: new Set(request.carry.map(([, input]) => input)) };
    const fed = receipt ? this.#describeInputs(request.feeds) : [];
    const { outputs: tensors, answer } = await this.#enqueue({ request, number, takes }, options);
    if (receipt) this.#receipts.set(tensors, await this.#writeReceipt(await fed, tensors, answer));
    if (answer.steps) this.#profiles.set(tensors, { ms: answer.ms, steps: answer.steps });
    return tensors;
  }

  /**
   * Runs the golden cases of the package, in the queue like any run.
   * @param {import('./wasmai.d.ts').SelfTestOptions} [options]
   */
  async selfTest(options = {}) {
    if (this.#closed) throw this.#closedError();
    const { signal } = checkSelfTest(options);
    if (!this.#facts.deterministic) {
      const why = `golden outputs are of the variant simd, to the bit: load with deterministic: true`;
      throw new WasmAIError('UNSUPPORTED', this.#parts.where, why);
    }
    const golden = readGolden(this.#golden, this.inputs, this.outputs);
    if (golden.cases.length === 0) {
      const why = `the package has no golden outputs: ${golden.why}`;
      throw new WasmAIError('UNSUPPORTED', this.#parts.where, why);
    }
    return testGolden(golden, this, async (feeds) => {
      this.#checkRun({ signal });
      const request = {
        wanted: [...this.outputs.keys()],
        carry: [],
        feeds: feedsToBuffers(this.inputs, feeds, new Set(), this.#admit),
        fuel: runBudget(this.#facts.certificate.fuel),
        apart: true,
      };
      return (await this.#enqueue({ request, number: 0, takes: 0 }, { signal })).outputs;
    });
  }

  /** Of outputs of a run with `receipt: true`. @param {object} outputs */
  receipt(outputs) {
    return this.#beside(this.#receipts, outputs, 'receipt');
  }

  /** Of outputs of a run with `profile: true`. @param {object} outputs */
  profile(outputs) {
    return this.#beside(this.#profiles, outputs, 'profile');
  }

  /** @template T @param {WeakMap<object, T>} kept @param {object} outputs @param {string} name @returns {T} */
  #beside(kept, outputs, name) {
    const found = kept.get(outputs);
    if (found) return found;
    throw new WasmAIError(
      'ARGUMENT',
      name,
      `give the very object that a run of this session with { ${name}: true } resolved with`,
    );
  }

  /** What is fed, described before it travels. @param {import('./engine.js').Request['feeds']} feeds */
  #describeInputs(feeds) {
    return Promise.all(
      feeds.map((feed, i) => (feed ? describeTensors([this.inputs[i]], [feed]) : [])),
    );
  }

  /**
   * @param {import('./wasmai.d.ts').ReceiptTensor[][]} fed  empty for what was carried
   * @param {Done['outputs']} outputs @param {import('./runners.js').Answer} answer
   */
  async #writeReceipt(fed, outputs, { carried, fuel }) {
    const inputs = fed.map(async (one, i) => {
      const slot = this.inputs[i];
      // As untrusted as an output.
      const shown = one.length ? {} : answersToOutputs([slot], [carried?.[i] ?? Object(null)]);
      return one[0] ?? (await describeTensors([slot], [shown[slot.name]]))[0];
    });
    const slots = Object.entries(outputs).map(([name, { dtype }]) => ({ name, dtype }));
    const made = describeTensors(slots, Object.values(outputs));
    return makeReceipt({
      runtime: await this.#parts.runtime,
      variant: this.#facts.variant,
      head: this.#head,
      inputs: await Promise.all(inputs),
      outputs: await made,
      fuel,
    });
  }

  /**
   * @param {Pick<Job, 'request' | 'number' | 'takes'>} asked
   * @param {Pick<RunOptions, 'signal' | 'deadlineMs'>} options @returns {Promise<Done>}
   */
  #enqueue({ request, number, takes }, { signal, deadlineMs }) {
    return new Promise((resolve, reject) => {
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let timer;
      const onAbort = () => this.#interrupt(job, abortedError('run'));
      /** @type {Job} */
      const job = {
        request,
        number,
        bytes: request.feeds.reduce((sum, feed) => sum + (feed?.data.byteLength ?? 0), 0),
        takes,
        resolve,
        reject,
        settled: false,
        tidy: () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
        },
      };
      if (deadlineMs !== undefined) {
        timer = setTimeout(
          () =>
            this.#interrupt(
              job,
              new WasmAIError(
                'DEADLINE',
                'run',
                `not done after ${deadlineMs} ms: the run was stopped; the next one starts afresh`,
              ),
            ),
          deadlineMs,
        );
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(job);
      this.#advance();
    });
  }

  /** Begin anew: the next run is to be fed every input. */
  reset() {
    if (this.#closed) throw this.#closedError();
    this.#promise = { number: 0, inputs: new Set() };
  }

  /** Free everything; rejects what is pending. Twice is fine. */
  async close() {
    if (this.#closed) return;
    this.#closed = true;
    dropped.unregister(this);
    this.#reserve?.leave();
    const error = this.#closedError();
    this.#running?.stop(error);
    this.#closing.abort();
    this.#runner?.then(
      (runner) => runner.stop(error),
      () => {},
    );
    const jobs = this.#waiting.drain();
    if (this.#active) jobs.unshift(this.#active);
    this.#active = null;
    this.#parts.pack = null;
    for (const job of jobs) this.#settle(job, error);
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.close();
  }

  #closedError() {
    return new WasmAIError(
      'STATE',
      this.#parts.where,
      'the session is closed: load the model again',
    );
  }

  /** @param {RunOptions} options @returns {RunOptions} */
  #checkRun(options) {
    if (this.#closed) throw this.#closedError();
    if (options === null || typeof options !== 'object')
      throw new WasmAIError('ARGUMENT', 'run', 'options must be an object');
    checkNames(options, RUN_OPTIONS, 'run');
    const { signal, deadlineMs, maxFuel } = options;
    for (const name of /** @type {const} */ (['receipt', 'profile'])) {
      if (![undefined, true, false].includes(options[name]))
        throw new WasmAIError('ARGUMENT', name, 'must be true or false');
    }
    if (maxFuel !== undefined && !(Number.isSafeInteger(maxFuel) && maxFuel > 0))
      throw new WasmAIError('ARGUMENT', 'maxFuel', 'must be a whole number of units, from 1');
    if (maxFuel !== undefined && !this.#metered) {
      throw new WasmAIError(
        'UNSUPPORTED',
        'maxFuel',
        'this runtime does not count instructions: `wasm-ai build --secure` takes one that does',
      );
    }
    if (
      deadlineMs !== undefined &&
      !(typeof deadlineMs === 'number' && deadlineMs > 0 && deadlineMs <= 0x7fffffff)
    ) {
      throw new WasmAIError(
        'ARGUMENT',
        'deadlineMs',
        'must be a positive number of milliseconds, at most 2147483647',
      );
    }
    if (deadlineMs !== undefined && this.#facts.isolation === 'none') {
      throw new WasmAIError(
        'UNSUPPORTED',
        'deadlineMs',
        "with isolation 'none' a run cannot be stopped in the middle; use isolation 'worker'",
      );
    }
    checkSignal(signal);
    if (signal?.aborted) throw abortedError('run');
    return options;
  }

  /** Start the next waiting job when nothing is active. */
  async #advance() {
    if (this.#active) return;
    const job = this.#waiting.shift();
    if (!job) {
      if (!this.#closed) this.#reserve?.fill();
      return;
    }
    this.#active = job;
    try {
      const runner = await this.#ready();
      await runner.turn?.();
      if (job.settled) return; // aborted while the new worker was being made
      this.#checkCarried(job);
      this.#running = runner;
      const held = this.#held;
      this.#held = 0;
      const answer = await runner.run(job.request);
      if (job.settled) return;
      const slots = job.request.wanted.map((i) => this.outputs[i]);
      const outputs = answersToOutputs(slots, answer.outputs);
      this.#held = job.request.apart ? held : job.number;
      if (!job.request.apart) this.#note(answer);
      this.#settle(job, null, { outputs, answer });
    } catch (cause) {
      const error =
        cause instanceof WasmAIError
          ? cause
          : new WasmAIError('INTERNAL', 'run', String(cause), { cause });
      // Whatever went wrong in the runtime, its memory is not trusted any more.
      if (this.#active === job && this.#running) this.#replace(error);
      this.#settle(job, error);
    } finally {
      if (this.#active === job) {
        this.#running = null;
        this.#active = null;
        this.#advance();
      }
    }
  }

  /** For `info`. @param {import('./runners.js').Answer} answer */
  #note({ ms, fuel, memoryBytes }) {
    this.#runs += 1;
    this.#lastMs = ms;
    this.#fuel = fuel;
    this.#memoryBytes = memoryBytes;
  }

  /** Never an older state in place of one that was lost. @param {Job} job */
  #checkCarried({ request, takes }) {
    if (takes === 0 || takes === this.#held) return;
    const { name } = this.inputs[request.feeds.indexOf(null)];
    throw new WasmAIError(
      'STATE',
      name,
      'what was to be carried to this input is lost, because a run before failed or was stopped: ' +
        'feed it to begin anew',
    );
  }

  /** A runner that works: the present one, or a new one. @returns {Promise<Runner>} */
  async #ready() {
    for (;;) {
      const current = this.#runner;
      const present = await current?.catch(() => null);
      if (present?.alive()) return present;
      if (this.#runner === current) return this.#respawn(); // else another job has respawned
    }
  }

  #respawn() {
    if (this.#closed) return Promise.reject(this.#closedError());
    this.#held = 0;
    const next = this.#start(this.#parts, this.#closing.signal);
    this.#runner = next;
    return next;
  }

  /** @param {WasmAIError} error */
  #replace(error) {
    this.#running?.stop(error);
    this.#running = null;
    if (!this.#closed) this.#respawn().catch(() => {}); // the next run reports it
  }

  /** Signal or deadline. @param {Job} job @param {WasmAIError} error */
  #interrupt(job, error) {
    if (job.settled) return;
    this.#waiting.remove(job);
    this.#settle(job, error);
    if (this.#active !== job) return;
    this.#active = null;
    if (this.#running) this.#replace(error);
    this.#advance();
  }

  /** @param {Job} job @param {WasmAIError | null} error @param {Done} [done] */
  #settle(job, error, done) {
    if (job.settled) return;
    job.settled = true;
    job.tidy();
    if (error) job.reject(error);
    else job.resolve(/** @type {Done} */ (done));
  }
}

/** @param {import('./wasmai.d.ts').SelfTestOptions} options */
function checkSelfTest(options) {
  if (options === null || typeof options !== 'object')
    throw new WasmAIError('ARGUMENT', 'selfTest', 'options must be an object');
  checkNames(options, ['signal'], 'selfTest');
  return options;
}

/** @param {object} options @param {string[]} known @param {string} where */
export function checkNames(options, known, where) {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const close = closestName(name, known);
    throw new WasmAIError(
      'ARGUMENT',
      where,
      `there is no option "${name}"${close ? `; did you mean "${close}"?` : ''}`,
    );
  }
}

/** @param {unknown} signal */
export function checkSignal(signal) {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new WasmAIError('ARGUMENT', 'signal', 'must be an AbortSignal');
}
