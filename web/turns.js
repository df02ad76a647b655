/** Work that goes on for long, in pieces: between them others have their turn, and the page stays alive. */

const TURN_MS = 10;
let turned = 0;

/** At most every so often; else it goes on at once. */
export async function letOthersRun() {
  if (performance.now() - turned < TURN_MS) return;
  await new Promise((resolve) => {
    if ('setImmediate' in globalThis) return void setImmediate(resolve);
    // A timer would wait 4 ms from its fifth turn on.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
  turned = performance.now();
}
