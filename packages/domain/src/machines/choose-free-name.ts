import { present } from '@understudy/base/invariant'

/**
 * The wished name where it is free, else the same with the first number that is: `web`, `web-2`, `web-3`. Never longer than
 * `longest` characters, the number included: a name that is cut must not lose what tells it from the one it was cut to. Pure.
 */
export function chooseFreeName(wished: string, taken: ReadonlySet<string>, longest = Infinity): string {
  const plain = wished.slice(0, longest)
  if (!taken.has(plain)) return plain
  // Among one more names than are taken, one is free.
  const numbered = Array.from({ length: taken.size + 1 }, (_, index) => {
    const number = `-${index + 2}`
    return `${wished.slice(0, longest - number.length)}${number}`
  })
  return present(
    numbered.find((name) => !taken.has(name)),
    'there are more names than machines',
  )
}
