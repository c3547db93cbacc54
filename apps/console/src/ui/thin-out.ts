/** No more values than can be told apart, the highest of each stretch: a short peak stays to be seen. */
export function thinOut(values: readonly number[], most: number): readonly number[] {
  if (values.length <= most) return values
  return Array.from({ length: most }, (_, index) => {
    const from = Math.floor((index * values.length) / most)
    const to = Math.floor(((index + 1) * values.length) / most)
    return Math.max(...values.slice(from, to))
  })
}
