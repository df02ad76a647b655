/** The drawing pad: pointer, touch and keyboard, images dropped or chosen. */

const PEN = 20; // of 280
const STEP = 8;

export class Pad {
  #canvas;
  #context;
  #onChange;
  /** @type {{ x: number, y: number } | null} */
  #last = null;
  #cursor = { x: 140, y: 60 };
  #penDown = false;

  /** @param {HTMLCanvasElement} canvas @param {(empty: boolean) => void} onChange */
  constructor(canvas, onChange) {
    this.#canvas = canvas;
    this.#onChange = onChange;
    this.#context = /** @type {CanvasRenderingContext2D} */ (
      canvas.getContext('2d', { willReadFrequently: true })
    );
    this.#wipe();
    canvas.addEventListener('pointerdown', (event) => this.#start(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const name of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(name, () => {
        this.#last = null;
      });
    }
    canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  clear() {
    this.#wipe();
    this.#onChange(true);
  }

  pixels() {
    return this.#context.getImageData(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /** Fit an image into the pad. @param {Blob} blob */
  async show(blob) {
    const bitmap = await createImageBitmap(blob);
    const { width, height } = this.#canvas;
    const scale = Math.min(width / bitmap.width, height / bitmap.height);
    const size = [bitmap.width * scale, bitmap.height * scale];
    this.#wipe();
    // The ground goes on to the edge: a letter box of black would look like ink.
    this.#context.drawImage(bitmap, 0, 0, 1, 1, 0, 0, width, height);
    this.#context.drawImage(
      bitmap,
      (width - size[0]) / 2,
      (height - size[1]) / 2,
      size[0],
      size[1],
    );
    bitmap.close();
    this.#onChange(false);
  }

  #wipe() {
    this.#context.fillStyle = '#000';
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /** @param {PointerEvent} event */
  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.#canvas.width,
      y: ((event.clientY - box.top) / box.height) * this.#canvas.height,
    };
  }

  /** @param {PointerEvent} event */
  #start(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.#canvas.focus({ preventScroll: true });
    this.#canvas.setPointerCapture(event.pointerId);
    this.#last = this.#place(event);
    this.#line(this.#last, this.#last);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.#last) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) {
      const next = this.#place(part);
      this.#line(this.#last, next);
      this.#last = next;
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const moves = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    });
    if (event.key === 'Delete' || event.key === 'Backspace') {
      this.clear();
    } else if (event.key === ' ') {
      this.#penDown = !this.#penDown;
      if (this.#penDown) this.#line(this.#cursor, this.#cursor);
    } else if (moves[event.key]) {
      const [dx, dy] = moves[event.key];
      const bound = (/** @type {number} */ value) => Math.min(Math.max(value, PEN), 280 - PEN);
      const next = { x: bound(this.#cursor.x + dx * STEP), y: bound(this.#cursor.y + dy * STEP) };
      if (this.#penDown) this.#line(this.#cursor, next);
      this.#cursor = next;
    } else {
      return;
    }
    event.preventDefault();
  }

  /** @param {{ x: number, y: number }} from @param {{ x: number, y: number }} to */
  #line(from, to) {
    const context = this.#context;
    context.strokeStyle = '#fff';
    context.lineWidth = PEN;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x + 0.01, to.y);
    context.stroke();
    this.#onChange(false);
  }
}

/**
 * A button that opens the file dialogue, and a place to drop files on.
 * @param {{ button: HTMLElement, input: HTMLInputElement, target: HTMLElement, take: (file: File) => void }} parts
 */
export function acceptFiles({ button, input, target, take }) {
  button.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    input.value = ''; // the same file may be chosen again
    if (file) take(file);
  });
  for (const name of ['dragenter', 'dragover']) {
    target.addEventListener(name, (event) => {
      event.preventDefault();
      target.classList.add('over');
    });
  }
  target.addEventListener('dragleave', () => target.classList.remove('over'));
  target.addEventListener('drop', (event) => {
    event.preventDefault();
    target.classList.remove('over');
    const file = /** @type {DragEvent} */ (event).dataTransfer?.files[0];
    if (file) take(file);
  });
}
