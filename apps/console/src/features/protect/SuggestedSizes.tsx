import { Text } from '@mantine/core'
import type { Machine } from '@understudy/contract/machine'
import type { ProtectPreview } from '@understudy/contract/protection'
import type { z } from 'zod'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { alikeSizes, nameFirst } from './alike-sizes.ts'

type SuggestedSizesProps = {
  readonly machines: readonly Machine[]
  readonly sizes: z.infer<typeof ProtectPreview>['sizes']
}

/** Which size each machine would get at the target, and why that one. */
export function SuggestedSizes({ machines, sizes }: SuggestedSizesProps) {
  const alike = alikeSizes(machines, sizes)
  if (alike.length === 0) return null
  return (
    <section aria-label="Suggested sizes">
      <Facts>
        {alike.map(({ name, why, names }) => (
          <Fact key={`${name} ${why}`} name={nameFirst(names)}>
            {name}
            <Text size="xs" c="var(--ink-quiet)">
              {why}
            </Text>
          </Fact>
        ))}
      </Facts>
    </section>
  )
}
