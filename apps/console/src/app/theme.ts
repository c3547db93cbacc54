// The look: dense and calm. Colours carry meaning only for states; everything else is ink on paper.
import {
  Alert,
  Badge,
  Button,
  createTheme,
  Drawer,
  type MantineColorsTuple,
  Menu,
  Modal,
  SegmentedControl,
  Table,
  TableScrollContainer,
  Tooltip,
} from '@mantine/core'

/** Our own colour, for actions and selection. */
const teal: MantineColorsTuple = [
  '#eafaf7',
  '#d6f1ec',
  '#a9e3d9',
  '#79d5c5',
  '#52c9b4',
  '#3ac1aa',
  '#2bb8a0',
  '#0d8270',
  '#0b7768',
  '#065f53',
]

/** Dark surfaces with a little blue in them: 9 is the page, 8 a raised panel, 6 a border, 2 quiet text. */
const dark: MantineColorsTuple = [
  '#e7ebf0',
  '#c6ced8',
  '#9aa6b5',
  '#6b7889',
  '#3c4757',
  '#2c3644',
  '#222b37',
  '#171e28',
  '#111720',
  '#0b1017',
]

export const theme = createTheme({
  primaryColor: 'teal',
  primaryShade: { light: 8, dark: 7 },
  autoContrast: true,
  luminanceThreshold: 0.3,
  colors: { teal, dark },
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', Menlo, monospace",
  headings: {
    fontWeight: '600',
    sizes: { h1: { fontSize: '1.375rem' }, h2: { fontSize: '1.0625rem' }, h3: { fontSize: '0.9375rem' } },
  },
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.25rem' },
  spacing: { xs: '0.5rem', sm: '0.75rem', md: '1rem', lg: '1.25rem', xl: '1.75rem' },
  defaultRadius: 'md',
  radius: { xs: '3px', sm: '5px', md: '7px', lg: '10px', xl: '14px' },
  cursorType: 'pointer',
  focusRing: 'auto',
  respectReducedMotion: true,
  components: {
    Button: Button.extend({ defaultProps: { size: 'xs' } }),
    Badge: Badge.extend({ defaultProps: { variant: 'light', radius: 'sm', tt: 'none', fw: 500 } }),
    Table: Table.extend({
      defaultProps: { verticalSpacing: 7, horizontalSpacing: 'sm', fz: 'sm' },
      vars: () => ({
        table: {
          '--table-border-color': 'var(--line)',
          '--table-highlight-on-hover-color': 'var(--panel-quiet)',
        },
      }),
    }),
    // Its labels keep the other theme's colour while they fade.
    SegmentedControl: SegmentedControl.extend({ defaultProps: { transitionDuration: 0 } }),
    // Mantine's own scroll bars can chase their own size for ever; the browser's do not.
    TableScrollContainer: TableScrollContainer.extend({ defaultProps: { type: 'native' } }),
    Alert: Alert.extend({
      styles: (_, { color = 'blue' }) => ({
        root: {
          background: `color-mix(in srgb, var(--mantine-color-${color}-6) 9%, var(--panel))`,
          border: `1px solid color-mix(in srgb, var(--mantine-color-${color}-6) 40%, var(--line))`,
        },
        message: { color: 'var(--ink)' },
        title: { color: 'var(--ink)' },
        icon: { color: `var(--mantine-color-${color}-6)` },
      }),
    }),
    Tooltip: Tooltip.extend({
      defaultProps: {
        openDelay: 250,
        multiline: true,
        maw: 340,
        events: { hover: true, focus: true, touch: true },
      },
    }),
    Menu: Menu.extend({ defaultProps: { withinPortal: false, withInitialFocusPlaceholder: false } }),
    Modal: Modal.extend({
      defaultProps: {
        closeButtonProps: { 'aria-label': 'Close' },
        overlayProps: { backgroundOpacity: 0.55, blur: 2 },
        // Its head is a <header>; the page has one already, and there may be only one banner.
        attributes: { header: { role: 'presentation' } },
      },
    }),
    Drawer: Drawer.extend({
      defaultProps: {
        closeButtonProps: { 'aria-label': 'Close' },
        overlayProps: { backgroundOpacity: 0.45 },
        attributes: { header: { role: 'presentation' } },
      },
    }),
  },
})
