// The small shapes that every resource shares. Instants are ISO 8601 in UTC, sizes are bytes, durations seconds.
import { z } from 'zod'

export const Id = z.string().min(1).max(120)
export const InstantText = z.iso.datetime({ offset: true })
/** Characters that nobody sees would make two names that look the same. */
export const Name = z
  .string()
  .trim()
  .min(1, 'Give it a name')
  .max(120)
  .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u, 'Leave out characters that cannot be seen')
export const Bytes = z.number().int().nonnegative()
export const Seconds = z.number().nonnegative()

/** Query of every list: pass `next` of the last page as `cursor`. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().max(500).optional(),
}
/** `name` or `-name`: a minus sorts downwards. */
export const sortQuery = <const Fields extends readonly [string, ...string[]]>(fields: Fields) => ({
  sort: z.enum(fields.flatMap((field) => [field, `-${field}`]) as [string, ...string[]]).optional(),
})
export const pageOf = <Row extends z.ZodType>(row: Row) =>
  z.object({ items: z.array(row), next: z.string().nullable(), total: z.number().int().nullable() })

export const ById = z.strictObject({ id: Id })

/** 1 is Monday, 7 Sunday. */
export const WeekdayNumber = z.union(
  [1, 2, 3, 4, 5, 6, 7].map((day) => z.literal(day as 1 | 2 | 3 | 4 | 5 | 6 | 7)),
)
