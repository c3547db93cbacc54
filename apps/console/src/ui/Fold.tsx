import { Button, Collapse } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconChevronDown, IconChevronRight } from '@tabler/icons-react'
import type { ReactNode } from 'react'

type FoldProps = {
  readonly title: string
  readonly startsOpen: boolean
  /** Cannot be closed now. */
  readonly keepOpen: boolean
  readonly children: ReactNode
}

/** What few people need, behind a button that says what it is. */
export function Fold({ title, startsOpen, keepOpen, children }: FoldProps) {
  const [opened, { toggle }] = useDisclosure(startsOpen)
  const shown = opened || keepOpen
  return (
    <>
      <div>
        <Button
          variant="subtle"
          size="compact-sm"
          aria-expanded={shown}
          leftSection={shown ? <IconChevronDown size={15} /> : <IconChevronRight size={15} />}
          onClick={toggle}
        >
          {title}
        </Button>
      </div>
      <Collapse expanded={shown}>{children}</Collapse>
    </>
  )
}
