// GraphiQL's editor themes with colours that reach the contrast of WCAG 2.2 AA (4.5:1) on the page's backgrounds. A theme
// that is defined again under its name takes effect at once.
import { useMonaco } from "@graphiql/react";
import { useEffect } from "react";

const THEMES = {
  "graphiql-LIGHT": {
    base: "vs",
    accent: "#c00582",
    widget: "#ffffff",
    foreground: {
      "": "1f2937",
      comment: "006300",
      number: "06694a",
      "argument.identifier.gql": "5450b8",
      "editorLineNumber.foreground": "#4f6484",
    },
  },
  "graphiql-DARK": {
    base: "vs-dark",
    accent: "#ff5794",
    widget: "#212a3b",
    foreground: {
      "": "dbe2ee",
      comment: "8cc276",
      number: "b5cea8",
      "argument.identifier.gql": "a5a0ff",
      "editorLineNumber.foreground": "#a3adbf",
    },
  },
};

const isColor = (name) => name.startsWith("editor");

function themeOf({ base, accent, widget, foreground }) {
  const entries = Object.entries(foreground);
  return {
    base,
    inherit: true,
    rules: entries.filter(([name]) => !isColor(name)).map(([token, color]) => ({ token, foreground: color })),
    colors: {
      ...Object.fromEntries(entries.filter(([name]) => isColor(name))),
      "editor.background": "#ffffff00",
      "scrollbar.shadow": "#ffffff00",
      "editorHoverWidget.background": widget,
      "editorSuggestWidget.background": widget,
      "editorSuggestWidget.selectedBackground": `${accent}19`,
      "editorSuggestWidget.selectedForeground": accent,
      "editorWidget.background": widget,
      "menu.background": widget,
      "menu.selectionBackground": `${accent}19`,
      "menu.selectionForeground": accent,
      "quickInput.background": widget,
      "quickInputList.focusBackground": `${accent}19`,
      "list.hoverBackground": `${accent}19`,
      "list.highlightForeground": accent,
      "list.focusHighlightForeground": accent,
      "textLink.foreground": accent,
      "textLink.activeForeground": accent,
      focusBorder: accent,
    },
  };
}

export function useReadableThemes() {
  const { monaco } = useMonaco();
  useEffect(() => {
    if (!monaco) return;
    Object.entries(THEMES).forEach(([name, theme]) => monaco.editor.defineTheme(name, themeOf(theme)));
  }, [monaco]);
}
