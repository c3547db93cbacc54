/** Smaller tiles cannot be read from afar. */
const mostTiles = 40

/** How many tiles beside each other, and how many at all. Wide ones: names are long. Pure. */
export function tileGrid(count: number): { readonly columns: number; readonly shown: number } {
  const shown = Math.min(count, mostTiles)
  const columns = [1, 2, 3, 4, 5].find((each) => each * Math.ceil((each * 8) / 5) >= shown) ?? 5
  return { columns: Math.max(2, columns), shown }
}
