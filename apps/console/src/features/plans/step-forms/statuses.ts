/** `200, 204` as HTTP statuses; what is none, and what is there twice, is left out. Pure. */
export const statusesIn = (text: string): readonly number[] => [
  ...new Set(
    text
      .split(/[\s,;]+/)
      .map(Number)
      .filter((status) => Number.isInteger(status) && status >= 100 && status <= 599),
  ),
]
