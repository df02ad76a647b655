/**
 * The page's end of the sandboxed frame: a place (places.js) whose workers have an opaque origin.
 * The frame is there as long as one of its workers is. If it does not answer, goes away, or
 * becomes another document, all that was in it has failed, and the next worker gets a new frame.
 */
import { WasmAIError } from './errors.js';
import { unreadable } from './places.js';

/** @typedef {import('./places.js').Listener} Listener */

const READY_MS = 10000;
const END_MS = 1000;

/**
 * @param {URL} url the frame's file
 * @param {() => Promise<string>} readSource the worker's script, its hash checked
 * @returns {import('./places.js').Place}
 */
export function inFrame(url, readSource) {
  /** @type {Frame | null} */
  let frame = null;
  return {
    where: url.href,
    another: () => inFrame(url, readSource),
    open(listener) {
      if (!frame?.alive()) frame = new Frame(url, readSource);
      return frame.open(listener);
    },
  };
}

class Frame {
  #where;
  #element;
  /** @type {Promise<MessagePort>} */
  #control;
  /** @type {MessagePort | null} */
  #connected = null;
  /** @type {Map<number, Listener>} */
  #listeners = new Map();
  /** Workers that are to end: timers of the frame's answer. @type {Map<number, ReturnType<typeof setTimeout>>} */
  #ending = new Map();
  #nextId = 1;
  /** @type {WasmAIError | null} */
  #failure = null;
  /** A frame that is taken out, or moved, loses its document. */
  #watch = new MutationObserver((changes) => {
    if (changes.some(({ removedNodes }) => [...removedNodes].includes(this.#element)))
      this.#fail(this.#gone());
  });

  /** @param {URL} url @param {() => Promise<string>} readSource */
  constructor(url, readSource) {
    this.#where = url.href;
    this.#element = document.createElement('iframe');
    this.#control = this.#connect(readSource);
    this.#control.catch((error) => this.#fail(error));
  }

  alive() {
    return this.#failure === null && this.#element.isConnected;
  }

  /** @param {Listener} listener @returns {import('./places.js').Link} */
  open(listener) {
    const id = this.#nextId++;
    const { port1: port, port2 } = new MessageChannel();
    port.onmessage = ({ data }) => listener.received(data);
    port.onmessageerror = () => listener.failed(unreadable(this.#where));
    this.#listeners.set(id, listener);
    this.#control.then(
      (control) => this.#listeners.has(id) && control.postMessage({ op: 'start', id }, [port2]),
      () => {}, // said to all listeners
    );
    return {
      send: (message, transfer) => {
        if (!this.alive()) this.#fail(this.#gone());
        // Chromium's workers have no crypto.subtle in there: the frame decrypts, the worker answers.
        else if (message.op === 'decrypt')
          this.#connected?.postMessage({ op: 'decrypt', id, request: message }, transfer);
        else port.postMessage(message, transfer);
      },
      end: () => {
        port.close();
        this.#end(id);
      },
    };
  }

  /** Load the frame's file and give it the worker's source. @param {() => Promise<string>} readSource */
  async #connect(readSource) {
    const element = this.#element;
    const source = readSource();
    source.catch(() => {});
    await this.#load();
    const { port1: control, port2 } = new MessageChannel();
    /** @type {Promise<MessagePort>} */
    const ready = new Promise((resolve, reject) => {
      setTimeout(() => reject(this.#silent()), READY_MS);
      control.onmessage = ({ data }) => {
        if (data.ready) resolve(control);
        else this.#told(data);
      };
    });
    // To an opaque origin there is no other way to address it than '*'; the source is no secret.
    element.contentWindow?.postMessage({ source: await source }, '*', [port2]);
    await ready;
    element.addEventListener('load', () => this.#fail(this.#gone())); // another document is in it now
    control.addEventListener('close', () => this.#fail(this.#gone())); // where browsers tell
    this.#connected = control;
    return control;
  }

  /** @returns {Promise<void>} */
  #load() {
    const element = this.#element;
    element.setAttribute('sandbox', 'allow-scripts'); // first of all: what loads without it has our origin
    element.setAttribute('aria-hidden', 'true');
    element.hidden = true;
    element.tabIndex = -1;
    element.src = this.#where;
    return new Promise((resolve, reject) => {
      element.addEventListener('load', () => resolve(), { once: true });
      setTimeout(() => reject(this.#silent()), READY_MS);
      /** @param {SecurityPolicyViolationEvent} event */
      const refused = ({ effectiveDirective, blockedURI }) => {
        if (!/^(frame|child|default)-src$/.test(effectiveDirective) || blockedURI !== this.#where)
          return;
        const why = `the page's policy does not let the frame load: frame-src needs ${this.#where}`;
        reject(new WasmAIError('CSP', this.#where, why));
      };
      document.addEventListener('securitypolicyviolation', refused);
      // Beside the body, which pages fill and empty.
      document.documentElement.append(element);
      this.#watch.observe(document.documentElement, { childList: true });
    });
  }

  /** What the frame says. @param {any} data */
  #told({ ended, failed, why }) {
    clearTimeout(this.#ending.get(ended));
    this.#ending.delete(ended);
    const isolated =
      globalThis.crossOriginIsolated &&
      'in WebKit no worker starts in a sandboxed frame of a page that has Cross-Origin-Embedder-Policy: ' +
        "serve the page without that header, or use isolation 'worker'";
    this.#listeners
      .get(failed)
      ?.failed(
        new WasmAIError(
          'INTERNAL',
          this.#where,
          `the worker in the frame failed: ${String(why).slice(0, 256) || isolated || 'it did not start'}`,
        ),
      );
  }

  /** @param {number} id */
  #end(id) {
    if (!this.#listeners.delete(id) || this.#failure) return;
    this.#connected?.postMessage({ op: 'end', id });
    if (this.#connected)
      this.#ending.set(
        id,
        setTimeout(() => this.#fail(this.#silent()), END_MS),
      );
    // A worker that takes the place of this one is asked for at once.
    queueMicrotask(() => {
      if (this.#listeners.size === 0) this.#fail(this.#gone());
    });
  }

  /** All that is in the frame ends with it. @param {WasmAIError} error */
  #fail(error) {
    if (this.#failure) return;
    this.#failure = error;
    this.#watch.disconnect();
    this.#element.remove();
    this.#connected?.close();
    for (const timer of this.#ending.values()) clearTimeout(timer);
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    for (const { failed } of listeners) failed(error);
  }

  #gone() {
    return new WasmAIError('INTERNAL', this.#where, 'the frame was removed from the page');
  }

  #silent() {
    return new WasmAIError(
      'INTERNAL',
      this.#where,
      'the frame does not answer: check that this file is deployed as it was built, and that it has ' +
        'Cross-Origin-Embedder-Policy when the page has',
    );
  }
}
