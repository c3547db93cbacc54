import { Anchor, type AnchorProps } from '@mantine/core'
import { createLink, type LinkComponent } from '@tanstack/react-router'
import type { AnchorHTMLAttributes, Ref } from 'react'

type PlainAnchorProps = AnchorProps &
  Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof AnchorProps> & {
    readonly ref?: Ref<HTMLAnchorElement>
  }
const PlainAnchor = (props: PlainAnchorProps) => <Anchor size="sm" {...props} />

/** A link in a text: address, parameters and search are checked against the routes. */
export const LinkAnchor: LinkComponent<typeof PlainAnchor> = createLink(PlainAnchor)
