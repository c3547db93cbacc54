import { Text } from '@mantine/core'
import type { Machine } from '@understudy/contract/machine'
import type { ProtectPreview } from '@understudy/contract/protection'
import type { z } from 'zod'
import { Fact, Facts } from '../../ui/Facts.tsx'

type SuggestedSizesProps = {
  readonly machines: readonly Machine[]
  readonly sizes: z.infer<typeof ProtectPreview>['sizes']
}

/** Which size each machine would get at the target, and why that one. */
export function SuggestedSizes({ machines, sizes }: SuggestedSizesProps) {
  const known = machines.flatMap(({ id, name }) => {
    const size = sizes[id]
    return size ? [{ id, name, size }] : []
  })
  if (known.length === 0) return null
  return (
    <section aria-label="Suggested sizes">
      <Facts>
        {known.map(({ id, name, size }) => (
          <Fact key={id} name={name}>
            {size.name}
            <Text size="xs" c="var(--ink-quiet)">
              {size.why}
            </Text>
          </Fact>
        ))}
      </Facts>
    </section>
  )
}
