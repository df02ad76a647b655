// Every WebAssembly.Memory that comes to be on this page, made by script or exported by a module. Imported before
// any peer.
const all = [];
const { Memory, Instance, instantiate, instantiateStreaming } = WebAssembly;

function seen(result) {
  const { exports } = result instanceof Instance ? result : result.instance;
  for (const one of Object.values(exports))
    if (one instanceof Memory && !all.includes(one)) all.push(one);
  return result;
}

const remembering = (target, after) =>
  new Proxy(target, {
    construct(made, args) {
      return after(Reflect.construct(made, args));
    },
  });

Object.assign(WebAssembly, {
  Memory: remembering(Memory, (memory) => {
    all.push(memory);
    return memory;
  }),
  Instance: remembering(Instance, seen),
  instantiate: async (...args) => seen(await instantiate(...args)),
  instantiateStreaming: async (...args) => seen(await instantiateStreaming(...args)),
});

/** How many there are now: what comes later belongs to who starts then. */
export const memoryMark = () => all.length;

/** Bytes of those that came since a mark. @param {number} mark @param {number} [end] */
export const memoryBytes = (mark, end = all.length) =>
  all.slice(mark, end).reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
