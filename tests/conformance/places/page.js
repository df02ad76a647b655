// What the page of site.mjs does: one job, one session, one locked worker.
import { load, Tensor } from './wasmai.js';

window.runJob = async ({ bytes, feeds }) => {
  try {
    // Bits are compared with those of Node.
    const session = await load(bytes, { deterministic: true, threads: 1 });
    try {
      const tensors = feeds.map(([name, { dtype, data, dims }]) => [
        name,
        new Tensor(dtype, data, dims),
      ]);
      const outputs = {};
      const answer = await session.run(Object.fromEntries(tensors));
      for (const [name, { dtype, dims, data }] of Object.entries(answer)) {
        // Bits: the driver carries no Float16Array.
        outputs[name] = { dtype, dims: [...dims], data: dtype === 'float16' ? halves(data) : data };
      }
      return { outputs };
    } finally {
      await session.close();
    }
  } catch (error) {
    const { code = 'INTERNAL', where = 'page' } = error;
    return { error: { code, where, message: String(error.message) } };
  }
};

const halves = ({ buffer, byteOffset, length }) => new Uint16Array(buffer, byteOffset, length);
