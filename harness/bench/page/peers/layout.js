// What peers with channels last, and without int64, want of the inputs; outside every clock.

/** @param {{ dtype: string, dims: number[], data: any }} input  images have four dims */
export function channelsLast({ dtype, dims, data }) {
  if (dtype === 'int64') return { dtype: 'int32', dims, data: Int32Array.from(data, Number) };
  if (dims.length !== 4) return { dtype, dims, data };
  const [n, c, h, w] = dims;
  const moved = new Float32Array(data.length);
  let at = 0;
  for (let i = 0; i < n; i++)
    for (let pixel = 0; pixel < h * w; pixel++)
      for (let channel = 0; channel < c; channel++)
        moved[at++] = data[(i * c + channel) * h * w + pixel];
  return { dtype, dims: [n, h, w, c], data: moved };
}
