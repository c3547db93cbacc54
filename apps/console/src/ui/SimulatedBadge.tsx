import { Badge } from '@mantine/core'

/** Not a real machine or site: said wherever one is shown. */
export const SimulatedBadge = () => (
  <Badge
    size="xs"
    variant="outline"
    color="gray"
    style={{ flexShrink: 0, color: 'var(--ink-quiet)', borderColor: 'var(--line)' }}
  >
    simulated
  </Badge>
)
