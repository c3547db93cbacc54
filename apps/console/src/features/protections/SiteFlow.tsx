import { Group, Text, VisuallyHidden } from '@mantine/core'
import { IconArrowNarrowRight } from '@tabler/icons-react'
import type { Protection } from '@understudy/contract/protection'

/** Where it runs and which way it flows: the active side is in bold. */
export function SiteFlow({
  protection,
}: {
  readonly protection: Pick<Protection, 'source' | 'target' | 'activeSiteId'>
}) {
  const { source, target, activeSiteId } = protection
  const site = ({ id, name }: { readonly id: string; readonly name: string }) => (
    <Text
      span
      size="sm"
      fw={id === activeSiteId ? 600 : 400}
      c={id === activeSiteId ? 'var(--ink)' : 'var(--ink-quiet)'}
      truncate
    >
      {name}
      {id === activeSiteId && <VisuallyHidden> (runs here)</VisuallyHidden>}
    </Text>
  )
  return (
    <Group gap={5} wrap="nowrap" component="span" display="inline-flex" maw="100%">
      {site(source)}
      <IconArrowNarrowRight
        size={16}
        stroke={1.6}
        color="var(--ink-quiet)"
        aria-label="replicates to"
        style={{ flexShrink: 0 }}
      />
      {site(target)}
    </Group>
  )
}
