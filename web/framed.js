/**
 * The page's end of the sandboxed frame: a place (places.js) whose workers have an opaque origin.
 * Each worker has a frame of its own, which ends with it, and it with the frame: a frame that hangs
 * is taken out like any other.
 */
import { WasmAIError } from './errors.js';
import { unreadable } from './places.js';

/** @typedef {import('./places.js').Listener} Listener */

const READY_MS = 10000;

/**
 * @param {URL} url the frame's file
 * @param {() => Promise<string>} readSource the worker's script, its hash checked
 * @returns {import('./places.js').Place}
 */
export function inFrame(url, readSource) {
  return {
    where: url.href,
    hashes: false,
    open: (listener) => new Frame(url, readSource, listener),
  };
}

/** The link to the one worker in it (places.js). */
class Frame {
  #where;
  #listener;
  #element = document.createElement('iframe');
  /** To the worker, and to the frame. */
  #channel = new MessageChannel();
  #control = new MessageChannel();
  #ended = false;
  #timer = setTimeout(() => this.#fail(this.#silent()), READY_MS);
  /** A frame that is taken out, or moved, loses its document. */
  #watch = new MutationObserver((changes) => {
    if (changes.some(({ removedNodes }) => [...removedNodes].includes(this.#element)))
      this.#fail(this.#gone());
  });
  /** @param {SecurityPolicyViolationEvent} event */
  #refused = ({ effectiveDirective, blockedURI }) => {
    if (!/^(frame|child|default)-src$/.test(effectiveDirective) || blockedURI !== this.#where)
      return;
    const why = `the page's policy does not let the frame load: frame-src needs ${this.#where}`;
    this.#fail(new WasmAIError('CSP', this.#where, why));
  };

  /** @param {URL} url @param {() => Promise<string>} readSource @param {Listener} listener */
  constructor(url, readSource, listener) {
    this.#where = url.href;
    this.#listener = listener;
    const { port1: port } = this.#channel;
    port.onmessage = ({ data }) => listener.received(data);
    port.onmessageerror = () => this.#fail(unreadable(this.#where));
    this.#start(readSource()).catch((error) => this.#fail(error));
  }

  /** @param {any} message @param {Transferable[]} transfer */
  send(message, transfer) {
    // Chromium's workers have no crypto.subtle in there: the frame decrypts, the worker answers.
    const { port1 } = message.op === 'decrypt' ? this.#control : this.#channel;
    port1.postMessage(message, transfer);
  }

  end() {
    this.#ended = true;
    clearTimeout(this.#timer);
    document.removeEventListener('securitypolicyviolation', this.#refused);
    this.#watch.disconnect();
    this.#channel.port1.close();
    this.#control.port1.close();
    this.#element.remove();
  }

  /** Load the frame's file and give it the worker's source. @param {Promise<string>} source */
  async #start(source) {
    source.catch(() => {});
    await this.#load();
    const { port1: control } = this.#control;
    control.onmessage = ({ data: { failed } }) => {
      clearTimeout(this.#timer);
      if (failed !== undefined) this.#fail(this.#failed(failed));
    };
    // Where browsers tell, that its process is gone; and that another document is in it now.
    control.addEventListener('close', () => this.#fail(this.#gone()));
    this.#element.addEventListener('load', () => this.#fail(this.#gone()));
    const message = { source: await source };
    // To an opaque origin there is no other way to address it than '*'; the source is no secret.
    const ports = [this.#channel.port2, this.#control.port2];
    this.#element.contentWindow?.postMessage(message, '*', ports);
  }

  #load() {
    const element = this.#element;
    element.setAttribute('sandbox', 'allow-scripts'); // first of all: what loads without it has our origin
    element.setAttribute('aria-hidden', 'true');
    element.hidden = true;
    element.tabIndex = -1;
    element.src = this.#where;
    const loaded = new Promise((resolve) => {
      element.addEventListener('load', resolve, { once: true });
    });
    document.addEventListener('securitypolicyviolation', this.#refused);
    // Beside the body, which pages fill and empty.
    document.documentElement.append(element);
    this.#watch.observe(document.documentElement, { childList: true });
    return loaded;
  }

  /** @param {WasmAIError} error */
  #fail(error) {
    if (this.#ended) return;
    this.end();
    this.#listener.failed(error);
  }

  /** @param {unknown} why */
  #failed(why) {
    const isolated =
      globalThis.crossOriginIsolated &&
      'in WebKit no worker starts in a sandboxed frame of a page that has Cross-Origin-Embedder-Policy: ' +
        "serve the page without that header, or use isolation 'worker'";
    const text = String(why).slice(0, 256) || isolated || 'it did not start';
    return new WasmAIError('INTERNAL', this.#where, `the worker in the frame failed: ${text}`);
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
